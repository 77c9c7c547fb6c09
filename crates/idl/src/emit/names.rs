//! From names in C's manner to names in Rust's.
//!
//! Types and variants become `UpperCamel`, members and procedures `snake`, constants
//! `SCREAMING`. A [`Scope`] hands names out: it escapes keywords, keeps away from names that
//! generated code needs for itself, and resolves collisions in an order that depends on the
//! interface alone. This file knows strings only; [`table`](super::table) applies it to a model.

use std::collections::HashSet;

/// Names that generated code writes without a path and that no type may therefore take.
pub(crate) const PRELUDE: &[&str] = &[
    "AsMut",
    "AsRef",
    "Box",
    "Clone",
    "Copy",
    "Default",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "Err",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Into",
    "IntoIterator",
    "Iterator",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Self",
    "Send",
    "Sized",
    "Some",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Vec",
];

/// Keywords of Rust, reserved ones included, that may be written `r#`.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// Keywords that have no raw form.
const NEVER_RAW: &[&str] = &["self", "super", "crate", "Self", "_"];

/// The name of a type or variant: `nfs_fh3` is `NfsFh3`, `READ3args` is `Read3Args`.
pub(crate) fn camel(name: &str) -> String {
    let words = words(name, true);
    let joined: String = words.iter().map(|word| capitalized(word)).collect();
    starting_with_letter(joined, "X")
}

/// The name of a member, an argument or a procedure: `UADDR2TADDR` is `uaddr2taddr`.
pub(crate) fn snake(name: &str) -> String {
    let words = words(name, false);
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    starting_with_letter(lower.join("_"), "x")
}

/// The name of a constant: `maxLen` is `MAX_LEN`.
pub(crate) fn screaming(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// The same name as an identifier of Rust: `type` is `r#type`, `self` is `self_`.
pub(crate) fn escaped(name: &str) -> String {
    if NEVER_RAW.contains(&name) {
        format!("{name}_")
    } else if KEYWORDS.contains(&name) {
        format!("r#{name}")
    } else {
        name.to_owned()
    }
}

fn starting_with_letter(name: String, letter: &str) -> String {
    match name.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => name,
        _ => format!("{letter}{name}"),
    }
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first
        .into_iter()
        .chain(chars.map(|c| c.to_ascii_lowercase()))
        .collect()
}

/// The words of a name. With `digits`, a capital that follows a digit begins a word, and so does
/// the small letter behind capitals and a digit (`READ3args`).
fn words(name: &str, digits: bool) -> Vec<String> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .flat_map(|part| split_part(part, digits))
        .collect()
}

fn split_part(part: &str, digits: bool) -> Vec<String> {
    let chars: Vec<char> = part.chars().collect();
    let mut words = vec![String::new()];
    for (i, c) in chars.iter().enumerate() {
        let begins = i > 0 && begins_word(&chars, i, digits);
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(*c);
        }
    }
    words
}

/// Whether the character at `i`, which is not the first, begins a word.
fn begins_word(chars: &[char], i: usize, digits: bool) -> bool {
    let at = |i: usize| chars.get(i).copied().unwrap_or('_');
    let (before, this, next) = (at(i - 1), at(i), at(i + 1));
    if this.is_ascii_uppercase() {
        if before.is_ascii_lowercase() || (digits && before.is_ascii_digit()) {
            return true;
        }
        // The last capital of a run belongs to the small letters behind it: `XMLHttp`. But a
        // version stays with its letter: `NFSv4`.
        let version = next == 'v' && at(i + 2).is_ascii_digit();
        return before.is_ascii_uppercase() && next.is_ascii_lowercase() && !version;
    }
    if this == 'v' && before.is_ascii_uppercase() && next.is_ascii_digit() {
        return true;
    }
    digits && this.is_ascii_lowercase() && before.is_ascii_digit() && capitals_before(chars, i)
}

/// Whether in front of the digits that end at `i` stands a capital.
fn capitals_before(chars: &[char], i: usize) -> bool {
    let before = chars.iter().take(i).rev();
    let letter = before.into_iter().find(|c| !c.is_ascii_digit());
    letter.is_some_and(|c| c.is_ascii_uppercase())
}

/// The longest prefix, ending in `_`, that all names share and that leaves each of them a name;
/// empty if there are fewer than two names or no such prefix.
pub(crate) fn common_prefix<'a>(names: &[&'a str]) -> &'a str {
    let [first, rest @ ..] = names else {
        return "";
    };
    if rest.is_empty() {
        return "";
    }
    let shared = rest.iter().fold(first.len(), |len, name| {
        let same = first.bytes().zip(name.bytes());
        len.min(same.take_while(|(a, b)| a == b).count())
    });
    let mut prefix = first.get(..shared).unwrap_or("");
    while let Some(at) = prefix.rfind('_') {
        let candidate = &first[..=at];
        let leaves_name = |name: &&str| {
            let rest = name.get(candidate.len()..).unwrap_or("");
            rest.starts_with(|c: char| c.is_ascii_alphabetic())
        };
        if names.iter().all(leaves_name) {
            return candidate;
        }
        prefix = &first[..at];
    }
    ""
}

/// Names that are taken in one place of the generated code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    taken: HashSet<String>,
    reserved: HashSet<&'static str>,
}

impl Scope {
    /// A scope in which nobody gets one of the `reserved` names.
    pub(crate) fn new(reserved: &[&'static str]) -> Self {
        Self {
            taken: HashSet::new(),
            reserved: reserved.iter().copied().collect(),
        }
    }

    /// Hands out a name for each that is wanted, in order: the first to want a name gets it,
    /// later ones get it with a number that nobody wants. Reserved names get a trailing `_`.
    pub(crate) fn claim_all(&mut self, wanted: &[String]) -> Vec<String> {
        let wishes: HashSet<String> = wanted.iter().map(|name| self.permitted(name)).collect();
        wanted
            .iter()
            .map(|name| {
                let name = self.permitted(name);
                let free = self.free(&name, &wishes);
                self.taken.insert(free.clone());
                free
            })
            .collect()
    }

    /// Hands out one name.
    pub(crate) fn claim(&mut self, wanted: &str) -> String {
        self.claim_all(&[wanted.to_owned()])
            .pop()
            .unwrap_or_default()
    }

    fn permitted(&self, name: &str) -> String {
        if self.reserved.contains(name) {
            return format!("{name}_");
        }
        escaped(name)
    }

    fn free(&self, name: &str, wishes: &HashSet<String>) -> String {
        if !self.taken.contains(name) {
            return name.to_owned();
        }
        let bare = name.strip_prefix("r#").unwrap_or(name);
        let mut number = 2_u64;
        loop {
            let candidate = format!("{bare}{number}");
            if !self.taken.contains(&candidate) && !wishes.contains(&candidate) {
                return candidate;
            }
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        for (c, rust) in [
            ("nfs_fh3", "NfsFh3"),
            ("READ3args", "Read3Args"),
            ("LOOKUP3resok", "Lookup3Resok"),
            ("NFS3ERR_NOENT", "Nfs3ErrNoent"),
            ("NF3REG", "Nf3Reg"),
            ("nfsstat3", "Nfsstat3"),
            ("rp__list", "RpList"),
            ("Device_AddrFamily", "DeviceAddrFamily"),
            ("XMLHttp", "XmlHttp"),
            ("NFSv4", "NfsV4"),
            ("md5sum", "Md5sum"),
            ("_", "X"),
            ("_3d", "X3d"),
            ("int64_t", "Int64T"),
        ] {
            assert_eq!(camel(c), rust, "{c}");
        }
    }

    #[test]
    fn members_and_constants() {
        for (c, rust) in [
            ("UADDR2TADDR", "uaddr2taddr"),
            ("obj_attributes", "obj_attributes"),
            ("maxRecvSize", "max_recv_size"),
            ("rp__list", "rp_list"),
            ("IPv4", "ip_v4"),
            ("NULL", "null"),
        ] {
            assert_eq!(snake(c), rust, "{c}");
        }
        assert_eq!(screaming("maxLen"), "MAX_LEN");
        assert_eq!(screaming("NFS3_FHSIZE"), "NFS3_FHSIZE");
    }

    #[test]
    fn keywords() {
        let mut scope = Scope::new(&["call"]);
        let wanted = ["type", "self", "call", "type", "Self", "gen"].map(str::to_owned);
        let got = scope.claim_all(&wanted);
        assert_eq!(got, ["r#type", "self_", "call_", "type2", "Self_", "r#gen"]);
    }

    #[test]
    fn collisions_avoid_what_others_want() {
        let mut scope = Scope::new(PRELUDE);
        let wanted = ["Foo", "Foo", "Foo2", "Option", "Option"].map(str::to_owned);
        let got = scope.claim_all(&wanted);
        assert_eq!(got, ["Foo", "Foo3", "Foo2", "Option_", "Option_2"]);
        assert_eq!(scope.claim("Foo"), "Foo4");
    }

    #[test]
    fn prefixes() {
        assert_eq!(
            common_prefix(&["NFSPROC3_NULL", "NFSPROC3_READ"]),
            "NFSPROC3_"
        );
        assert_eq!(common_prefix(&["CALC_NULL", "ADD"]), "");
        assert_eq!(common_prefix(&["NLM_TEST"]), "");
        assert_eq!(common_prefix(&["A_B_1", "A_B_2"]), "A_");
        assert_eq!(common_prefix(&["GET_", "GET_X"]), "");
    }
}
