//! One registration as bytes, for stores that keep them outside of memory.
//!
//! XDR (RFC 4506): a format number, then the fields. What was written by another format, or by somebody else, is
//! refused and never half understood.

use crate::element::Element;
use crate::mapping::{Mapping, Owner, Slot};
use crate::process::Process;
use farcall_dce::tower::Tower;
use farcall_onc::uaddr::{Netid, Uaddr};
use farcall_wire::{DecodeError, DecodeErrorKind, EncodeError, Reader, Str, Uuid, xdr};
use std::sync::Arc;

/// The format of what follows.
const FORMAT: u32 = 1;

/// Longest text in a record, in bytes.
const LONGEST: u32 = 4096;

/// Longest tower, in bytes.
const LONGEST_TOWER: u32 = 16 << 10;

/// Number, user id, name.
type OwnerRecord = (u32, u32, Str);

/// Whether it is known, its number, when it began.
type ProcessRecord = (bool, u32, u64);

fn owner_record(owner: &Owner) -> OwnerRecord {
    match owner {
        Owner::Superuser => (0, 0, Str::default()),
        Owner::User(uid) => (1, *uid, Str::default()),
        Owner::Principal(name) => (2, 0, Str::from(&**name)),
        Owner::Unknown => (3, 0, Str::default()),
    }
}

fn process_record(process: Option<Process>) -> ProcessRecord {
    process.map_or((false, 0, 0), |process| (true, process.id, process.began))
}

/// A mapping, and its place in the order of registration.
///
/// # Errors
/// Some text is longer than 32 bits count.
pub(super) fn encode_mapping(mapping: &Mapping, order: u64) -> Result<Vec<u8>, EncodeError> {
    let Slot {
        program,
        version,
        netid,
    } = mapping.slot;
    let address = Str::from(mapping.address.to_bytes());
    xdr::to_vec(&(
        (FORMAT, order),
        (program, version),
        Str::from(netid.name()),
        address,
        owner_record(&mapping.owner),
        process_record(mapping.process),
    ))
}

/// Reads a mapping, and its place in the order of registration.
///
/// # Errors
/// [`DecodeError`] if it is none.
pub fn decode_mapping(bytes: &[u8]) -> Result<(u64, Mapping), DecodeError> {
    let r = &mut Reader::new(bytes);
    let order = head(r)?;
    let (program, version) = (r.u32()?, r.u32()?);
    let netid = Netid::parse(r.opaque_var(LONGEST)?);
    let netid = netid.ok_or_else(|| invalid(r, "an unknown transport"))?;
    let address = Uaddr::parse(netid, r.opaque_var(LONGEST)?);
    let address = address.map_err(|_| invalid(r, "an address that is none"))?;
    let (owner, process) = (owner(r)?, process(r)?);
    r.finish()?;
    let slot = Slot {
        program,
        version,
        netid,
    };
    let mapping = Mapping {
        slot,
        address,
        owner,
        process,
    };
    Ok((order, mapping))
}

/// An element, and its place in the order of registration.
///
/// # Errors
/// Some text is longer than 32 bits count.
pub(super) fn encode_element(element: &Element, order: u64) -> Result<Vec<u8>, EncodeError> {
    let opaque = |bytes: Vec<u8>| Str::from(bytes);
    xdr::to_vec(&(
        (FORMAT, order),
        opaque(element.object.to_bytes_be().to_vec()),
        opaque(element.tower.to_bytes()),
        opaque(element.annotation.clone()),
        owner_record(&element.owner),
        process_record(element.process),
    ))
}

/// Reads an element, and its place in the order of registration.
///
/// # Errors
/// [`DecodeError`] if it is none.
pub fn decode_element(bytes: &[u8]) -> Result<(u64, Element), DecodeError> {
    let r = &mut Reader::new(bytes);
    let order = head(r)?;
    let object: [u8; 16] = r
        .opaque_var(16)?
        .try_into()
        .map_err(|_| invalid(r, "an object that is no UUID"))?;
    let tower = Tower::parse(r.opaque_var(LONGEST_TOWER)?)?;
    let annotation = r.opaque_var(LONGEST)?.to_vec();
    let (owner, process) = (owner(r)?, process(r)?);
    r.finish()?;
    let element = Element::new(Uuid::from_bytes_be(object), tower, &annotation, owner);
    let element = element.ok_or_else(|| invalid(r, "a way that leads nowhere"))?;
    Ok((order, element.by(process)))
}

fn head(r: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match r.u32()? {
        FORMAT => r.u64(),
        _ => Err(invalid(r, "another format")),
    }
}

fn owner(r: &mut Reader<'_>) -> Result<Owner, DecodeError> {
    let (kind, uid, name) = (r.u32()?, r.u32()?, r.opaque_var(LONGEST)?);
    Ok(match kind {
        0 => Owner::Superuser,
        1 => Owner::User(uid),
        2 => Owner::Principal(Arc::from(String::from_utf8_lossy(name).as_ref())),
        3 => Owner::Unknown,
        _ => return Err(invalid(r, "an unknown kind of owner")),
    })
}

fn process(r: &mut Reader<'_>) -> Result<Option<Process>, DecodeError> {
    let (known, id, began) = (r.bool()?, r.u32()?, r.u64()?);
    Ok(known.then_some(Process { id, began }))
}

fn invalid(r: &Reader<'_>, what: &'static str) -> DecodeError {
    r.error(DecodeErrorKind::Invalid(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use farcall_dce::syntax::SyntaxId;
    use farcall_dce::tower::Protseq;

    fn mapping() -> Mapping {
        Mapping {
            slot: Slot {
                program: 7,
                version: 1,
                netid: Netid::Udp6,
            },
            address: Uaddr::Inet("[::]:2049".parse().expect("an address")),
            owner: Owner::User(1000),
            process: Some(Process { id: 42, began: 99 }),
        }
    }

    fn element() -> Element {
        let tower = Tower::new(
            SyntaxId::NDR64,
            SyntaxId::NDR,
            Protseq::Tcp,
            "99",
            Ipv4Addr::LOCALHOST,
        );
        let owner = Owner::Principal("LAB\\alice".into());
        let tower = tower.expect("a port");
        Element::new(Uuid::new(1, 2, 3, [4; 8]), tower, b"clock", owner).expect("a way")
    }

    #[test]
    fn a_mapping_is_these_bytes() {
        // RFC 4506 by hand: format 1, order 5, program 7, version 1, "udp6", "::.8.1", owner 1 1000 "",
        // process true 42 99.
        let want = [
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 1][..],
            b"\0\0\0\x04udp6\0\0\0\x06::.8.1\0\0",
            &[0, 0, 0, 1, 0, 0, 3, 0xe8, 0, 0, 0, 0],
            &[0, 0, 0, 1, 0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 99],
        ]
        .concat();
        assert_eq!(encode_mapping(&mapping(), 5).expect("short"), want);
        assert_eq!(decode_mapping(&want).expect("whole"), (5, mapping()));
        for cut in 0..want.len() {
            assert!(decode_mapping(&want[..cut]).is_err(), "{cut}");
        }
        let mut longer = want.clone();
        longer.extend([0; 4]);
        assert!(decode_mapping(&longer).is_err());
        let mut other = want;
        other[3] = 2;
        assert!(decode_mapping(&other).is_err(), "another format");
    }

    #[test]
    fn an_element_comes_back_as_it_was() {
        for element in [element(), element().by(Some(Process::GONE))] {
            let bytes = encode_element(&element, 3).expect("short");
            assert_eq!(decode_element(&bytes).expect("whole"), (3, element));
            for cut in 0..bytes.len() {
                assert!(decode_element(&bytes[..cut]).is_err(), "{cut}");
            }
        }
    }
}
