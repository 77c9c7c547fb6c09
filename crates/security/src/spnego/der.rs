//! The little of DER that SPNEGO needs, strictly: tags of one byte, definite lengths in their shortest form.
//!
//! Read first: ITU-T X.690 sections 8.1 and 10.1. Nothing is copied and nothing recurses; an element is a slice of its input.

use farcall_dce::security::Denied;

/// What is inside an element, by its tag.
pub const OCTET_STRING: u8 = 0x04;
/// An object identifier.
pub const OID: u8 = 0x06;
/// An enumerated value.
pub const ENUMERATED: u8 = 0x0a;
/// A sequence.
pub const SEQUENCE: u8 = 0x30;
/// The frame of an initial token of the GSS-API.
pub const APPLICATION_0: u8 = 0x60;

/// A context-specific constructed tag.
#[must_use]
pub const fn context(number: u8) -> u8 {
    0xa0 | (number & 0x1f)
}

/// Elements, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag of the next element.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// What the next element holds, which must have this tag.
    ///
    /// # Errors
    /// [`Denied`] if it has another, or is not whole.
    pub fn expect(&mut self, tag: u8) -> Result<&'a [u8], Denied> {
        let (found, after) = self.rest.split_first().ok_or_else(cut)?;
        if *found != tag {
            return Err(Denied::package(format!(
                "DER tag {found:#04x}, expected {tag:#04x}"
            )));
        }
        let (len, after) = length(after)?;
        let (value, after) = after.split_at_checked(len).ok_or_else(cut)?;
        self.rest = after;
        Ok(value)
    }

    /// What the next element holds if it has this tag; otherwise it stays.
    ///
    /// # Errors
    /// [`Denied`] if it is not whole.
    pub fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Denied> {
        match self.peek() {
            Some(found) if found == tag => self.expect(tag).map(Some),
            _ => Ok(None),
        }
    }

    /// The end.
    ///
    /// # Errors
    /// [`Denied`] if something is left.
    pub fn end(self) -> Result<(), Denied> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Denied::package(format!("{left} bytes after the DER value"))),
        }
    }
}

/// What one element holds that is all there is.
///
/// # Errors
/// [`Denied`] if its tag is another, it is not whole, or something follows.
pub fn only(bytes: &[u8], tag: u8) -> Result<&[u8], Denied> {
    let mut reader = Reader::new(bytes);
    let value = reader.expect(tag)?;
    reader.end()?;
    Ok(value)
}

/// A length in its shortest form, and what follows it.
fn length(bytes: &[u8]) -> Result<(usize, &[u8]), Denied> {
    let (first, after) = bytes.split_first().ok_or_else(cut)?;
    if *first < 0x80 {
        return Ok((usize::from(*first), after));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=3).contains(&count) {
        return Err(Denied::package(
            "DER length is indefinite or beyond 24 bits",
        ));
    }
    let (digits, after) = after.split_at_checked(count).ok_or_else(cut)?;
    let value = digits
        .iter()
        .fold(0_usize, |value, digit| (value << 8) | usize::from(*digit));
    let shortest = value >= 0x80 && digits.first() != Some(&0);
    match shortest {
        true => Ok((value, after)),
        false => Err(Denied::package("DER length is not in its shortest form")),
    }
}

fn cut() -> Denied {
    Denied::package("DER value is cut off")
}

/// An element with this tag around these bytes.
#[must_use]
pub fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    let len = value.len();
    match u8::try_from(len) {
        Ok(short @ 0..0x80) => element.push(short),
        _ => {
            let bytes = u64::try_from(len).unwrap_or(u64::MAX).to_be_bytes();
            let digits: Vec<u8> = bytes
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect();
            element.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            element.extend_from_slice(&digits);
        }
    }
    element.extend_from_slice(value);
    element
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_and_read_in_their_shortest_form() {
        for (len, head) in [
            (0_usize, &[4, 0][..]),
            (0x7f, &[4, 0x7f]),
            (0x80, &[4, 0x81, 0x80]),
            (0xff, &[4, 0x81, 0xff]),
            (0x100, &[4, 0x82, 1, 0]),
            (0x1_0000, &[4, 0x83, 1, 0, 0]),
        ] {
            let value = vec![7; len];
            let written = element(OCTET_STRING, &value);
            assert!(written.starts_with(head));
            assert_eq!(only(&written, OCTET_STRING).unwrap(), value);
        }
    }

    #[test]
    fn other_forms_of_a_length_are_refused() {
        for wrong in [
            &[4, 0x80, 0, 0][..],
            &[4, 0x81, 1, 7],
            &[4, 0x82, 0, 1, 7],
            &[4, 0x84, 0, 0, 0, 1, 7],
            &[4, 0xff],
            &[4, 2, 7],
            &[4],
            &[],
            &[5, 0],
            &[4, 0, 0],
        ] {
            only(wrong, OCTET_STRING).unwrap_err();
        }
    }
}
