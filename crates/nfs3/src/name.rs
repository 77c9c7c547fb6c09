//! Names as clients send them (RFC 1813, section 3.3, "General comments on filenames").
//!
//! A [`Name`] is one path component and nothing else: it cannot hold `/` or a zero byte, so no system call made with it
//! can leave the directory it is used in, except by `.` and `..`, which every caller treats by itself.

use crate::status::Status;

/// Longest name accepted, in bytes; the limit of every file system Linux has.
pub const LONGEST: usize = 255;

/// One checked component of a path: 1 to 255 bytes, no `/`, no zero byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    // req: nfs3-1813-names
    /// Checks a name as it came from the network.
    ///
    /// # Errors
    /// [`Status::NameTooLong`] above 255 bytes, [`Status::Acces`] for the empty name and for `/` or a zero byte in it.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Status> {
        if bytes.len() > LONGEST {
            return Err(Status::NameTooLong);
        }
        if bytes.is_empty() || bytes.iter().any(|b| matches!(b, b'/' | 0)) {
            return Err(Status::Acces);
        }
        Ok(Self(bytes))
    }

    /// Checks a name that something new shall have, or that shall be removed or renamed: `.` and `..` are refused
    /// with the status the procedure has for them.
    ///
    /// # Errors
    /// As [`Name::new`], and `dots` for `.` and `..`.
    pub fn entry(bytes: &'a [u8], dots: Status) -> Result<Self, Status> {
        let name = Self::new(bytes)?;
        if name.is_dot() || name.is_dot_dot() {
            return Err(dots);
        }
        Ok(name)
    }

    /// The directory itself.
    pub fn is_dot(self) -> bool {
        self.0 == b"."
    }

    /// The parent directory.
    pub fn is_dot_dot(self) -> bool {
        self.0 == b".."
    }

    /// The bytes of the name.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        let long = [b'a'; 256];
        assert_eq!(Name::new(b""), Err(Status::Acces));
        assert_eq!(Name::new(b"a/b"), Err(Status::Acces));
        assert_eq!(Name::new(b"/"), Err(Status::Acces));
        assert_eq!(Name::new(b"../x"), Err(Status::Acces));
        assert_eq!(Name::new(b"a\0"), Err(Status::Acces));
        assert_eq!(Name::new(&long), Err(Status::NameTooLong));
        assert!(Name::new(&long[..255]).is_ok());
        assert!(Name::new(b"\xff\xfe not utf-8 \n").is_ok());
        assert_eq!(Name::entry(b".", Status::Exist), Err(Status::Exist));
        assert_eq!(Name::entry(b"..", Status::Inval), Err(Status::Inval));
        assert!(Name::entry(b"...", Status::Inval).is_ok());
    }
}
