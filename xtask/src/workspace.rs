//! Where things lie in the workspace: its root, its crates, its source files.
//!
//! Everything that a step looks at is found from here, so that a step works from any directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the workspace, from the place of this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// One package of the workspace as its manifest describes it.
pub(crate) struct Package {
    /// The package's name (`farcall-wire`).
    pub(crate) name: String,
    /// Where its `Cargo.toml` lies.
    pub(crate) folder: PathBuf,
    /// The manifest.
    pub(crate) manifest: toml::Table,
}

impl Package {
    /// Reads the package in `folder`.
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let manifest: toml::Table = text
            .parse()
            .with_context(|| format!("parse {}", path.display()))?;
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(toml::Value::as_str)
            .with_context(|| format!("{} names no package", path.display()))?
            .to_owned();
        Ok(Self {
            name,
            folder: folder.to_path_buf(),
            manifest,
        })
    }

    /// The names of what the tables called `kind` (`dependencies`, ...) depend on, those under
    /// `[target.*]` included.
    pub(crate) fn dependencies(&self, kind: &str) -> Vec<String> {
        let mut names = keys(self.manifest.get(kind));
        let targets = self.manifest.get("target").and_then(toml::Value::as_table);
        for target in targets.into_iter().flatten() {
            names.extend(keys(target.1.get(kind)));
        }
        names
    }
}

/// The keys of a table; none where there is no table.
fn keys(table: Option<&toml::Value>) -> Vec<String> {
    let table = table.and_then(toml::Value::as_table);
    table
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}

/// Every package below `crates/`, by name.
pub(crate) fn crates() -> Result<Vec<Package>> {
    let mut found = Vec::new();
    for folder in folders(&root().join("crates"))? {
        if folder.join("Cargo.toml").is_file() {
            found.push(Package::read(&folder)?);
        }
    }
    Ok(found)
}

/// The folders directly in `path`, sorted; none where `path` does not exist.
pub(crate) fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = entries(path)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    Ok(found)
}

/// Every file below `path` with one of the `extensions`, sorted; build output is left out.
pub(crate) fn files(path: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![path.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in entries(&folder)? {
            let name = entry
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let extension = entry.extension().unwrap_or_default().to_string_lossy();
            if entry.is_dir() && name != "target" && !name.starts_with('.') {
                pending.push(entry);
            } else if entry.is_file() && extensions.contains(&&*extension) {
                found.push(entry);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// How many files and folders lie in a folder; none where there is no such folder.
pub(crate) fn entries_in(folder: &Path) -> Result<usize> {
    Ok(entries(folder)?.len())
}

/// What lies in a folder; nothing where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let listed = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    listed.map(|entry| Ok(entry?.path())).collect()
}

/// `path` as it is written from the root of the workspace.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
