//! What the tokenizer sees and what it must not see.

use super::*;

fn words(source: &str) -> Vec<String> {
    paths(source)
        .into_iter()
        .map(|named| named.words.join("::"))
        .collect()
}

#[test]
fn use_trees_are_expanded() {
    let found = words("use std::{fs, net::{TcpStream, self as n}};");
    assert_eq!(found, ["std::fs", "std::net::TcpStream", "std::net::self"]);
}

#[test]
fn a_path_in_an_expression_is_found() {
    assert_eq!(words("let a = Instant::now();"), ["a", "Instant::now"]);
    assert_eq!(words("use ::a::b;"), ["::a::b"]);
    assert_eq!(words("::tokio::spawn(x)"), ["::tokio::spawn", "x"]);
}

#[test]
fn a_path_behind_angle_brackets_is_no_root() {
    assert_eq!(words("<T as A>::b"), ["T", "A", "b"]);
    assert_eq!(words("-> ::b"), ["::b"]);
    assert_eq!(words("=> ::b"), ["::b"]);
}

#[test]
fn comments_and_literals_are_not_source() {
    let hidden = "// tokio\n/* tokio /* tokio */ tokio */ \"tokio\\\"tokio\" r#\"tokio\"tokio\"# 'x' '\\'' b'\"' b\"tokio\" br\"tokio\\\"";
    assert_eq!(words(hidden), Vec::<String>::new());
    assert_eq!(words("fn f<'a>() {}").len(), 2);
}

#[test]
fn tests_are_left_out() {
    assert_eq!(words("a; #[cfg(test)] mod tests { tokio } b"), ["a", "b"]);
    assert_eq!(words("a; #[cfg(test)] mod tests; b"), ["a", "b"]);
    assert_eq!(
        words("a; #[cfg(test)] #[x(y)] fn f([u8; 3]) -> u8 { 1 } b"),
        ["a", "b"]
    );
}

#[test]
fn lines_and_modules_are_known() {
    let found = paths("mod a {\n  mod b {\n   x::y\n } }\nz");
    let place = |name: &str| {
        let named = found.iter().find(|named| named.words.join("::") == name);
        named.map(|named| (named.line, named.within.join("::")))
    };
    assert_eq!(place("x::y"), Some((3, "a::b".to_owned())));
    assert_eq!(place("z"), Some((5, String::new())));
    assert_eq!(
        modules("pub mod b;\nmod a;\nmod c { }\n#[cfg(test)] mod tests;"),
        ["b", "a"]
    );
}

#[test]
fn functions_are_measured() {
    let source = "fn a() {}\nfn b(x: [u8; 2]) -> u8 {\n  if x { 1 }\n  else { 2 }\n}\ntrait T { fn c(&self); }";
    let found = functions(source);
    let expected = [("a", 1, 1), ("b", 2, 4), ("c", 6, 1)];
    assert_eq!(
        found,
        expected.map(|(name, line, length)| (name.to_owned(), line, length))
    );
}
