//! Where included files come from, and all options of a compilation.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::MAX_FILE;

/// Where `#include` looks.
#[derive(Clone, Debug, Default)]
pub enum Files {
    /// In the file system.
    #[default]
    Disk,
    /// Among these texts, by path; nothing is read from the file system.
    Memory(BTreeMap<PathBuf, String>),
}

/// How an interface file is read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Directories in which `#include` looks, in this order; `#include "x"` looks beside the
    /// including file first.
    pub include: Vec<PathBuf>,
    /// Macros that are defined from the start; one without a value stands for 1. `RPC_HDR` is
    /// always among them, so that parts of a file for headers are seen.
    pub defines: Vec<(String, Option<String>)>,
    /// Where included files come from.
    pub files: Files,
}

impl Files {
    /// Whether there is such a file.
    pub(crate) fn exists(&self, path: &Path) -> bool {
        match self {
            Self::Disk => path.is_file(),
            Self::Memory(files) => files.contains_key(path),
        }
    }

    /// The path by which a file is known, however it is written.
    pub(crate) fn identity(&self, path: &Path) -> PathBuf {
        match self {
            Self::Disk => path.canonicalize().unwrap_or_else(|_| path.to_path_buf()),
            Self::Memory(_) => path.to_path_buf(),
        }
    }

    /// The file's text, bytes that are not UTF-8 replaced; an error says what is wrong with it.
    pub(crate) fn read(&self, path: &Path) -> Result<String, String> {
        match self {
            Self::Disk => read_disk(path),
            Self::Memory(files) => files
                .get(path)
                .cloned()
                .ok_or_else(|| "no such file".into()),
        }
    }
}

fn read_disk(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("is a directory".into());
    }
    let mut bytes = Vec::new();
    let limit = MAX_FILE as u64 + 1;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > MAX_FILE {
        return Err(format!("file is over {MAX_FILE} bytes"));
    }
    Ok(text(&bytes))
}

/// The text of a file: UTF-16 if it begins with a mark that says so, else UTF-8.
fn text(bytes: &[u8]) -> String {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return String::from_utf8_lossy(bytes).into_owned(),
    };
    let units = bytes.chunks_exact(2).skip(1);
    let units: Vec<u16> = units.map(|pair| unit([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_file_may_be_utf_16_if_it_says_so() {
        let little: Vec<u8> = "\u{feff}interface ä"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let big: Vec<u8> = "\u{feff}interface ä"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        for bytes in [&little[..], &big, "interface ä".as_bytes()] {
            assert_eq!(text(bytes), "interface ä");
        }
    }
}
