//! rpcbind's own files: what it wrote when it ended, and reads when it is started "warm".
//!
//! Two files: `rpcbind.xdr`, a list of `rpcb` (RFC 1833 section 2.1), and `portmap.xdr`, a list of the mappings that
//! version 2 knows (section 3.1), both in XDR. They are read so that registrations come over from an rpcbind, and
//! written so that they can go back. A file that others may write is not believed, nor one that a symbolic link leads to;
//! a new one takes the place of the old one as a whole.

use crate::mapping::{Mapping, Owner, Slot};
use crate::registry::RPCBIND;
use farcall::generated::rpcbind::{self as proto, Pmaplist, RpList, Rpcb};
use farcall_onc::uaddr::{Netid, Uaddr};
use farcall_wire::{DecodeError, Reader, xdr};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The list of rpcbind.
pub const RPCBIND_FILE: &str = "rpcbind.xdr";
/// The list of the port mapper.
pub const PORTMAP_FILE: &str = "portmap.xdr";

/// Longest file that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// Reads the list of rpcbind. What is rpcbind itself, and what nobody could call, is left out.
///
/// # Errors
/// [`DecodeError`] if it is no such list.
pub fn read_rpcbind(bytes: &[u8]) -> Result<Vec<Mapping>, DecodeError> {
    let r = &mut Reader::new(bytes);
    let list: Vec<RpList> = xdr::list(r)?;
    r.finish()?;
    let mappings = list.iter().filter_map(|node| mapping(&node.rpcb_map));
    Ok(mappings.collect())
}

/// Reads the list of the port mapper, which names no owners: they are unknown.
///
/// # Errors
/// [`DecodeError`] if it is no such list.
pub fn read_portmap(bytes: &[u8]) -> Result<Vec<Mapping>, DecodeError> {
    let r = &mut Reader::new(bytes);
    let list: Vec<Pmaplist> = xdr::list(r)?;
    r.finish()?;
    let mappings = list.iter().filter_map(|node| old_mapping(&node.map));
    Ok(mappings.collect())
}

/// The list of rpcbind, as it would write it.
#[must_use]
pub fn write_rpcbind(mappings: &[Mapping]) -> Vec<u8> {
    let node = |mapping: &Mapping| RpList {
        rpcb_map: Rpcb {
            r_prog: mapping.slot.program,
            r_vers: mapping.slot.version,
            r_netid: mapping.slot.netid.name().into(),
            r_addr: mapping.address.to_bytes().into(),
            r_owner: mapping.owner.to_string().into(),
        },
    };
    let nodes: Vec<RpList> = mappings.iter().map(node).collect();
    packed(&nodes)
}

/// The list of the port mapper, as rpcbind would write it.
#[must_use]
pub fn write_portmap(mappings: &[Mapping]) -> Vec<u8> {
    let node = |mapping: &Mapping| {
        Some(Pmaplist {
            map: proto::Mapping {
                prog: mapping.slot.program,
                vers: mapping.slot.version,
                prot: mapping.slot.netid.protocol()?,
                port: mapping.address.port().into(),
            },
        })
    };
    let nodes: Vec<Pmaplist> = mappings.iter().filter_map(node).collect();
    packed(&nodes)
}

/// A linked list.
struct Linked<'a, T>(&'a [T]);

impl<T: farcall_wire::Encode> farcall_wire::Encode for Linked<'_, T> {
    fn measure(&self, size: &mut farcall_wire::Size) -> Result<(), farcall_wire::EncodeError> {
        xdr::measure_list(self.0, size)
    }
    fn encode(&self, w: &mut farcall_wire::Writer<'_>) {
        xdr::encode_list(self.0, w);
    }
}

fn packed<T: farcall_wire::Encode>(nodes: &[T]) -> Vec<u8> {
    // Nothing in a mapping comes near what 32 bits count.
    xdr::to_vec(&Linked(nodes)).unwrap_or_default()
}

fn mapping(rpcb: &Rpcb) -> Option<Mapping> {
    let netid = Netid::parse(&rpcb.r_netid)?;
    let address = Uaddr::parse(netid, &rpcb.r_addr).ok()?;
    let slot = Slot {
        program: rpcb.r_prog,
        version: rpcb.r_vers,
        netid,
    };
    (slot.program != RPCBIND).then(|| Mapping {
        slot,
        address,
        owner: owner(&rpcb.r_owner),
        process: None,
    })
}

fn old_mapping(map: &proto::Mapping) -> Option<Mapping> {
    let netid = Netid::from_protocol(map.prot)?;
    let port = u16::try_from(map.port).ok().filter(|port| *port != 0)?;
    let slot = Slot {
        program: map.prog,
        version: map.vers,
        netid,
    };
    (slot.program != RPCBIND).then(|| Mapping {
        slot,
        address: Uaddr::Inet(([0, 0, 0, 0], port).into()),
        owner: Owner::Unknown,
        process: None,
    })
}

/// An owner as rpcbind writes it.
fn owner(text: &[u8]) -> Owner {
    match std::str::from_utf8(text) {
        Ok("superuser") => Owner::Superuser,
        Ok("unknown" | "") | Err(_) => Owner::Unknown,
        Ok(text) => match text.parse() {
            Ok(uid) => Owner::of_user(uid),
            Err(_) => Owner::Principal(text.into()),
        },
    }
}

/// Reads both files of a directory; one that is not there is empty. What rpcbind's file says counts more.
///
/// # Errors
/// A file that cannot be read, that others may write, or that is no such list.
// req: onc-binder-warm
pub fn load(directory: &Path) -> io::Result<Vec<Mapping>> {
    let damaged =
        |error: DecodeError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let mut mappings = Vec::new();
    if let Some(bytes) = read(&directory.join(RPCBIND_FILE))? {
        mappings = read_rpcbind(&bytes).map_err(damaged)?;
    }
    if let Some(bytes) = read(&directory.join(PORTMAP_FILE))? {
        for old in read_portmap(&bytes).map_err(damaged)? {
            if !mappings
                .iter()
                .any(|there: &Mapping| there.slot == old.slot)
            {
                mappings.push(old);
            }
        }
    }
    Ok(mappings)
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let said = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let file = match open(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    if !about.is_file() || about.mode() & 0o022 != 0 {
        return Err(said(format!("{}: others may write it", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LONGEST {
        return Err(said(format!(
            "{}: longer than {LONGEST} bytes",
            path.display()
        )));
    }
    Ok(Some(bytes))
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    options.custom_flags(no_link).open(path)
}

/// Writes both files into a directory, for their owner alone.
///
/// # Errors
/// What the system says; where one of them is a device, a link or anything else that is no regular file, that it is
/// not replaced.
pub fn save(directory: &Path, mappings: &[Mapping]) -> io::Result<()> {
    write(&directory.join(RPCBIND_FILE), &write_rpcbind(mappings))?;
    write(&directory.join(PORTMAP_FILE), &write_portmap(mappings))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        let why = format!(
            "{}: it is no regular file, and is not replaced by one",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = open(&new, options.write(true).create_new(true).mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests;
