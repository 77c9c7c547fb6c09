//! The directory over NFS: listed and compared with the directory itself, and one of its files
//! read over each transport and compared by its SHA-256.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use farcall::Transport;
use farcall::generated::nfs3::v3::Client as Nfs;
use farcall::generated::{mount, nfs3 as wire};
use farcall_wire::Str;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::report::Report;
use super::stage::{self, Stage, TRANSPORTS};
use crate::latency::shown_duration;
use crate::table::Table;

/// Entries that are shown.
const SHOWN: usize = 8;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// Directories below that are looked into for a file.
const DIRECTORIES: usize = 64;

/// Bytes asked for in one READ: over UDP the reply must fit what every peer takes.
fn chunk(transport: Transport) -> u32 {
    match transport {
        Transport::Udp => 8 << 10,
        _ => 256 << 10,
    }
}

/// One entry of the directory, as NFS tells it.
struct Entry {
    name: Vec<u8>,
    attributes: Option<wire::Fattr3>,
    handle: Option<wire::NfsFh3>,
}

/// A file to read.
struct Chosen {
    /// From the directory on.
    path: PathBuf,
    handle: wire::NfsFh3,
}

pub(super) async fn read(
    stage: &Stage,
    directory: &Path,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    report.act(
        "Real input",
        "the directory, listed and read over NFS version 3",
    )?;
    let endpoint = stage::endpoint(&stage.files, Transport::Tcp)?;
    let nfs = Nfs::connect(endpoint).await?;
    let listed = async {
        let root = root(stage, Transport::Tcp).await?;
        listing(&nfs, root, directory).await
    };
    let entries = match listed.await {
        Ok(entries) => entries,
        Err(why) => return Ok(report.check("listing the directory", Err(why))?),
    };
    show(&entries, report)?;
    report.check("the listing equals the directory", Ok(()))?;
    let names = entries.iter().map(|e| String::from_utf8_lossy(&e.name));
    report.fact("listing", json!(names.collect::<Vec<_>>()));
    match find(&nfs, directory, entries).await {
        Some(chosen) => compare(stage, directory, &chosen, report).await,
        None => {
            report.line("   no file here is small enough and readable: none is read")?;
            Ok(())
        }
    }
}

/// The entries of the directory, compared with the directory itself. It may change meanwhile, so
/// a difference must be there three times.
async fn listing(nfs: &Nfs, root: wire::NfsFh3, directory: &Path) -> Result<Vec<Entry>, String> {
    let mut difference = String::new();
    for _ in 0..3 {
        let entries = list(nfs, &root).await?;
        match same_names(&entries, directory) {
            Ok(()) => return Ok(entries),
            Err(why) => difference = why,
        }
    }
    Err(difference)
}

/// The handle of the directory.
async fn root(stage: &Stage, transport: Transport) -> Result<wire::NfsFh3, String> {
    let endpoint = stage::endpoint(&stage.files, transport).map_err(|e| e.to_string())?;
    let client = mount::v3::Client::connect(endpoint).await;
    let client = client.map_err(|error| error.to_string())?;
    match client.mnt(&Str::from("/")).await {
        Ok(mount::Mountres3::Mnt3Ok(ok)) => Ok(wire::NfsFh3 { data: ok.fhandle }),
        Ok(mount::Mountres3::Default(status)) => Err(format!("MNT said {status:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Lists a directory by READDIRPLUS, as many times as it takes.
async fn list(nfs: &Nfs, dir: &wire::NfsFh3) -> Result<Vec<Entry>, String> {
    let (mut all, mut cookie, mut cookieverf) = (Vec::new(), 0, [0; 8]);
    loop {
        let args = wire::Readdirplus3Args {
            dir: dir.clone(),
            cookie,
            cookieverf,
            dircount: 8 << 10,
            maxcount: 32 << 10,
        };
        let page = match nfs
            .readdirplus(&args)
            .await
            .map_err(|error| error.to_string())?
        {
            wire::Readdirplus3Res::Nfs3Ok(page) => page,
            wire::Readdirplus3Res::Default(status, _) => {
                return Err(format!("READDIRPLUS said {status:?}"));
            }
        };
        let last = page.reply.entries.last().map(|entry| entry.cookie);
        all.extend(page.reply.entries.into_iter().filter_map(entry));
        match last {
            Some(last) if !page.reply.eof => (cookie, cookieverf) = (last, page.cookieverf),
            _ => return Ok(all),
        }
    }
}

impl Entry {
    fn is(&self, kind: wire::Ftype3) -> bool {
        let attributes = self.attributes.as_ref();
        attributes.is_some_and(|attributes| attributes.r#type == kind)
    }

    fn size(&self) -> u64 {
        self.attributes
            .as_ref()
            .map_or(0, |attributes| attributes.size)
    }
}

fn entry(entry: wire::Entryplus3) -> Option<Entry> {
    let name = entry.name.as_bytes().to_vec();
    if name == b"." || name == b".." {
        return None;
    }
    Some(Entry {
        name,
        attributes: match entry.name_attributes {
            wire::PostOpAttr::True(attributes) => Some(attributes),
            wire::PostOpAttr::False => None,
        },
        handle: match entry.name_handle {
            wire::PostOpFh3::True(handle) => Some(handle),
            wire::PostOpFh3::False => None,
        },
    })
}

fn show(entries: &[Entry], report: &Report<'_>) -> anyhow::Result<()> {
    let mut table = Table::new(&["MODE", "SIZE", "NAME"]);
    for entry in entries.iter().take(SHOWN) {
        let (mode, size) = entry.attributes.as_ref().map_or_else(
            || ("?".to_owned(), "?".to_owned()),
            |a| (mode(a), a.size.to_string()),
        );
        table.row([mode, format!("{size:>10}"), printable(&entry.name)]);
    }
    report.table(&table)?;
    if entries.len() > SHOWN {
        report.line(format_args!("   … and {} more", entries.len() - SHOWN))?;
    }
    Ok(())
}

/// `drwxr-xr-x`, as `ls` writes it.
fn mode(attributes: &wire::Fattr3) -> String {
    let kind = match attributes.r#type {
        wire::Ftype3::Nf3Reg => '-',
        wire::Ftype3::Nf3Dir => 'd',
        wire::Ftype3::Nf3Lnk => 'l',
        _ => '?',
    };
    let bits = ['x', 'w', 'r'];
    let bit = |i: usize| match attributes.mode >> i & 1 {
        1 => bits[i % 3],
        _ => '-',
    };
    std::iter::once(kind).chain((0..9).rev().map(bit)).collect()
}

/// A name without what would move the cursor, and not too long.
fn printable(name: &[u8]) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    let text = String::from_utf8_lossy(name);
    text.chars().map(clean).take(48).collect()
}

/// Compares a listing with the directory itself.
fn same_names(entries: &[Entry], directory: &Path) -> Result<(), String> {
    let over_nfs: BTreeSet<Vec<u8>> = entries.iter().map(|entry| entry.name.clone()).collect();
    let here = std::fs::read_dir(directory).map_err(|error| error.to_string())?;
    let here: BTreeSet<Vec<u8>> = here
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().as_bytes().to_vec())
        .collect();
    match over_nfs.symmetric_difference(&here).next() {
        None => Ok(()),
        Some(name) => Err(format!("{} is only on one side", printable(name))),
    }
}

/// A file, from the directory or else from one below it.
async fn find(nfs: &Nfs, directory: &Path, entries: Vec<Entry>) -> Option<Chosen> {
    let mut waiting = VecDeque::from([(PathBuf::new(), entries)]);
    let mut seen = 0;
    while let Some((at, entries)) = waiting.pop_front() {
        if let Some(entry) = choose(&directory.join(&at), &entries) {
            let path = at.join(OsStr::from_bytes(&entry.name));
            let handle = entry.handle.clone()?;
            return Some(Chosen { path, handle });
        }
        for entry in entries.iter().filter(|e| e.is(wire::Ftype3::Nf3Dir)) {
            seen += 1;
            let Some(handle) = entry.handle.as_ref().filter(|_| seen <= DIRECTORIES) else {
                break;
            };
            if let Ok(below) = list(nfs, handle).await {
                waiting.push_back((at.join(OsStr::from_bytes(&entry.name)), below));
            }
        }
    }
    None
}

/// The largest file that is not too large, and that we may read.
fn choose<'e>(at: &Path, entries: &'e [Entry]) -> Option<&'e Entry> {
    let fits = |entry: &&Entry| {
        entry.is(wire::Ftype3::Nf3Reg)
            && entry.handle.is_some()
            && entry.size() <= LARGEST
            && File::open(at.join(OsStr::from_bytes(&entry.name))).is_ok()
    };
    entries.iter().filter(fits).max_by_key(|entry| entry.size())
}

/// Reads a file over each transport and compares it with the file itself.
async fn compare(
    stage: &Stage,
    directory: &Path,
    chosen: &Chosen,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    let name = printable(chosen.path.as_os_str().as_bytes());
    let path = directory.join(&chosen.path);
    let (mut times, mut len, mut digest) = (Vec::new(), 0, String::new());
    for transport in TRANSPORTS {
        let result = compare_once(stage, transport, &chosen.handle, &path).await;
        if let Ok(read) = &result {
            let took = shown_duration(read.took);
            times.push(format!("{transport} {took}"));
            (len, digest) = (read.len, read.digest.clone());
        }
        report.check(format!("reading {name} over {transport}"), result.map(drop))?;
    }
    report.line(format_args!(
        "   {name}: {len} bytes read by {}",
        times.join(", ")
    ))?;
    let short = digest.get(..16).unwrap_or_default();
    report.line(format_args!(
        "   sha256 {short}… is that of the file itself"
    ))?;
    report.fact(
        "file",
        json!({"name": name, "bytes": len, "sha256": digest}),
    );
    report.note(format!("{len} bytes of {name}, sha256 equal"));
    Ok(())
}

/// A file that was read.
struct Whole {
    len: u64,
    digest: String,
    took: Duration,
}

async fn compare_once(
    stage: &Stage,
    transport: Transport,
    handle: &wire::NfsFh3,
    path: &Path,
) -> Result<Whole, String> {
    let endpoint = stage::endpoint(&stage.files, transport).map_err(|e| e.to_string())?;
    let nfs = Nfs::connect(endpoint).await.map_err(|e| e.to_string())?;
    // The file may be written to meanwhile: then what it is changes, and we look again.
    for _ in 0..3 {
        let before = std::fs::read(path).map_err(|error| error.to_string())?;
        let whole = whole(&nfs, handle, chunk(transport)).await?;
        if whole.digest == hex(&Sha256::digest(&before)) {
            return Ok(whole);
        }
        let after = std::fs::read(path).map_err(|error| error.to_string())?;
        if after == before {
            break;
        }
    }
    Err("the bytes are not those of the file".to_owned())
}

/// Reads a file to its end.
async fn whole(nfs: &Nfs, file: &wire::NfsFh3, count: u32) -> Result<Whole, String> {
    let begun = Instant::now();
    let (mut hash, mut offset) = (Sha256::new(), 0);
    loop {
        let args = wire::Read3Args {
            file: file.clone(),
            offset,
            count,
        };
        match nfs.read(&args).await.map_err(|error| error.to_string())? {
            wire::Read3Res::Default(status, _) => return Err(format!("READ said {status:?}")),
            wire::Read3Res::Nfs3Ok(part) => {
                hash.update(&part.data);
                offset += part.data.len() as u64;
                if part.eof || part.data.is_empty() {
                    break;
                }
            }
        }
    }
    Ok(Whole {
        len: offset,
        digest: hex(&hash.finalize()),
        took: begun.elapsed(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
