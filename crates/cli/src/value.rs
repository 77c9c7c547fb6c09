//! Values that users write and read: JSON, and bytes in hexadecimal digits or files.

use std::io::Read;
use std::path::Path;

use farcall_idl::dynamic;
use serde_json::Value;

use crate::output::Failure;

/// JSON as it stands on the command line: itself, `@FILE`, or `-` for standard input. Nothing is
/// `null`.
pub(crate) fn json(text: Option<&str>) -> Result<Value, Failure> {
    let (text, place) = match text {
        None => return Ok(Value::Null),
        Some("-") => (utf8(read(Path::new("-"))?)?, "standard input"),
        Some(text) => match text.strip_prefix('@') {
            Some(file) => (utf8(read(Path::new(file))?)?, file),
            None => (text.to_owned(), "the argument"),
        },
    };
    serde_json::from_str(&text).map_err(|error| {
        let failure = Failure::new(format!("{place} is not JSON: {error}"));
        match bare(&text) {
            true => failure.hint(format!("a string needs its quotes: '\"{}\"'", text.trim())),
            false => failure,
        }
    })
}

/// A word that a shell has left without its quotes.
fn bare(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && !text.contains(['{', '[', '"', ':', ','])
}

/// A file's bytes; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map(|_| bytes),
        false => std::fs::read(path),
    };
    read.map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

fn utf8(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure::new("it is not UTF-8, so it is not JSON"))
}

/// Bytes written in hexadecimal digits; blanks, colons and a leading `0x` aside.
pub(crate) fn from_hex(text: &str) -> Result<Vec<u8>, Failure> {
    let text = text.trim();
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digits: Vec<char> = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .collect();
    if let Some(bad) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
        return Err(Failure::new(format!("'{bad}' is no hexadecimal digit")));
    }
    if !digits.len().is_multiple_of(2) {
        let count = digits.len();
        return Err(Failure::new(format!(
            "{count} hexadecimal digits, expected two for each byte"
        )));
    }
    let value = |c: char| u8::try_from(c.to_digit(16).unwrap_or(0)).unwrap_or(0);
    Ok(digits
        .chunks_exact(2)
        .map(|two| value(two[0]) << 4 | value(two[1]))
        .collect())
}

/// Bytes in hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value that does not fit its type, in words.
pub(crate) fn misfit(what: &str, error: &dynamic::Error) -> Failure {
    let failure = Failure::new(format!("{what}: {error}"));
    match error.help() {
        Some(help) => failure.hint(help),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_however_they_are_grouped() {
        for text in ["0001ff", "00 01 ff", "00:01:FF", "0x0001ff", " 0001\nff\n"] {
            assert_eq!(from_hex(text).unwrap(), [0, 1, 255], "{text:?}");
        }
        assert!(from_hex("").unwrap().is_empty());
        assert_eq!(
            from_hex("0g").unwrap_err().to_string(),
            "'g' is no hexadecimal digit"
        );
        assert!(
            from_hex("abc")
                .unwrap_err()
                .to_string()
                .starts_with("3 hexadecimal digits")
        );
        assert_eq!(to_hex(&[0, 1, 255]), "0001ff");
    }

    #[test]
    fn a_bare_word_gets_a_hint() {
        assert_eq!(json(None).unwrap(), Value::Null);
        assert_eq!(json(Some("[1, 2]")).unwrap(), serde_json::json!([1, 2]));
        let failure = format!("{:?}", json(Some("hello")).unwrap_err());
        assert!(failure.contains("a string needs its quotes"), "{failure}");
    }
}
