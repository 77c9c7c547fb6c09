//! The tables of the guide name tests; here it is seen that they exist.

use std::path::Path;

/// Every `FILE.rs::TEST` of a text.
fn named(text: &str) -> Vec<(&str, &str)> {
    let pieces = text.split('`').skip(1).step_by(2);
    pieces
        .filter_map(|piece| piece.split_once(".rs::"))
        .collect()
}

#[test]
fn the_tables_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = std::fs::read_to_string(root.join("docs/onc.md")).expect("the table");
    let named = named(&table);
    assert!(named.len() > 80, "{} tests", named.len());
    for (file, test) in named {
        let path = root.join(format!("{file}.rs"));
        let source =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(
            source.contains(&format!("fn {test}(")),
            "{file}.rs has no test {test}"
        );
    }
}
