//! unixinfo, of the Samba project: SIDs of this machine's users and groups, and what the user database says of users.
//!
//! Samba's own interface file lays its structures out as no IDL of C706 or MIDL can say: a SID without the count that stands before a
//! conformant structure, and two strings in one structure, of which the first has its room within it. So the arguments and results
//! are read and written here by hand, as Samba's own bindings do it (shown by the bytes in the tests). `idl/unixinfo.idl` describes
//! the interface as near as IDL comes to it.
//!
//! A user has the SID `S-1-22-1-UID`, a group `S-1-22-2-GID`: Samba's domains of users and groups that only Unix knows.

use std::os::unix::ffi::OsStrExt;

use farcall::stub::{Interface, NdrReply, Operations, Registered};
use farcall::{Call, Refuse};
use farcall_wire::ndr::{Align, Reader, Writer};
use farcall_wire::{DecodeError, EncodeError};
use nix::unistd::{Uid, User};

/// The generated stub, of which only the names are used.
#[allow(dead_code, missing_docs, unreachable_pub, clippy::all)]
mod stub {
    include!(concat!(env!("OUT_DIR"), "/unixinfo.rs"));
}

/// `STATUS_NO_SUCH_USER`.
const NO_SUCH_USER: u32 = 0xc000_0064;

/// `STATUS_NONE_MAPPED`.
const NONE_MAPPED: u32 = 0xc000_0073;

/// `STATUS_INVALID_PARAMETER`.
const INVALID_PARAMETER: u32 = 0xc000_000d;

/// `RPC_X_BAD_STUB_DATA`.
const BAD_STUB_DATA: u32 = 0x6f7;

/// Most users that are asked for at once.
const MOST: u32 = 1023;

/// Most numbers of a SID behind its authority (MS-DTYP section 2.4.2).
const MOST_SUBS: u8 = 15;

/// The authority of Unix's own SIDs.
const UNIX: [u8; 6] = [0, 0, 0, 0, 0, 22];

/// What comes behind the authority, for users and for groups.
const USERS: u32 = 1;
const GROUPS: u32 = 2;

struct Unixinfo;

/// The interface as a service.
pub(super) fn service() -> Registered {
    // The user database may be a file or a far server.
    Registered::interface(Unixinfo).blocking(&[4])
}

impl Operations for Unixinfo {
    fn interface(&self) -> &'static Interface {
        &stub::unixinfo::INTERFACE
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut Reader<'_>,
        reply: &mut NdrReply<'_>,
    ) -> Result<(), Refuse> {
        match call.opnum() {
            0 => to_number(USERS, arguments, reply),
            1 => to_sid(USERS, arguments, reply),
            2 => to_number(GROUPS, arguments, reply),
            3 => to_sid(GROUPS, arguments, reply),
            4 => users(arguments, reply),
            _ => Err(Refuse::ProcUnavail),
        }
    }
}

/// `SidToUid` and `SidToGid`.
fn to_number(kind: u32, r: &mut Reader<'_>, reply: &mut NdrReply<'_>) -> Result<(), Refuse> {
    let found = Sid::take(r)?.number(kind);
    reply.encode(|w| {
        w.u64(u64::from(found.unwrap_or(0)));
        w.u32(if found.is_some() { 0 } else { NONE_MAPPED });
        Ok(())
    })
}

/// `UidToSid` and `GidToSid`.
fn to_sid(kind: u32, r: &mut Reader<'_>, reply: &mut NdrReply<'_>) -> Result<(), Refuse> {
    let number = u32::try_from(r.u64()?);
    reply.encode(|w| {
        Sid::of(kind, number.unwrap_or(0)).put(w);
        w.u32(if number.is_ok() { 0 } else { INVALID_PARAMETER });
        Ok(())
    })
}

/// `GetPWUid`.
fn users(r: &mut Reader<'_>, reply: &mut NdrReply<'_>) -> Result<(), Refuse> {
    let (count, room) = (r.u32()?, r.wide()?);
    if count > MOST || u64::from(count) != room {
        return Err(Refuse::Fault(BAD_STUB_DATA));
    }
    let uids: Result<Vec<u64>, DecodeError> = (0..count).map(|_| r.u64()).collect();
    let infos: Vec<Info> = uids?.into_iter().map(Info::of).collect();
    reply.encode(|w| put_users(w, &infos))
}

fn put_users(w: &mut Writer, infos: &[Info]) -> Result<(), EncodeError> {
    w.u32(u32::try_from(infos.len()).unwrap_or(u32::MAX));
    w.count(infos.len())?;
    for info in infos {
        info.put(w)?;
    }
    w.u32(0);
    Ok(())
}

/// A security identifier (MS-DTYP section 2.4.2).
#[derive(Debug, PartialEq, Eq)]
struct Sid {
    revision: u8,
    authority: [u8; 6],
    subs: Vec<u32>,
}

impl Sid {
    fn of(kind: u32, number: u32) -> Self {
        Self {
            revision: 1,
            authority: UNIX,
            subs: vec![kind, number],
        }
    }

    /// The user's or group's number, if it is the SID of one.
    fn number(&self, kind: u32) -> Option<u32> {
        match self.subs[..] {
            [domain, number] if domain == kind && self.authority == UNIX => Some(number),
            _ => None,
        }
    }

    fn take(r: &mut Reader<'_>) -> Result<Self, Refuse> {
        r.align(Align::A4)?;
        let [revision, count, authority @ ..] = *r.array::<8>()?;
        if count > MOST_SUBS {
            return Err(Refuse::Fault(BAD_STUB_DATA));
        }
        let subs: Result<Vec<u32>, DecodeError> = (0..count).map(|_| r.u32()).collect();
        Ok(Self {
            revision,
            authority,
            subs: subs?,
        })
    }

    fn put(&self, w: &mut Writer) {
        w.align(Align::A4);
        w.u8(self.revision);
        w.u8(u8::try_from(self.subs.len()).unwrap_or(0));
        w.slice(&self.authority);
        for sub in &self.subs {
            w.u32(*sub);
        }
    }
}

/// What the user database says of one user; the texts are empty where the status is a failure.
#[derive(Debug, Default)]
struct Info {
    status: u32,
    home: Vec<u8>,
    shell: Vec<u8>,
}

impl Info {
    fn of(uid: u64) -> Self {
        let user = u32::try_from(uid).ok().map(Uid::from_raw);
        let Some(Ok(Some(user))) = user.map(User::from_uid) else {
            return Self {
                status: NO_SUCH_USER,
                ..Self::default()
            };
        };
        Self {
            status: 0,
            home: user.dir.as_os_str().as_bytes().to_vec(),
            shell: user.shell.as_os_str().as_bytes().to_vec(),
        }
    }

    /// The room of the last text stands before the structure, that of the first within it.
    fn put(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.count(self.shell.len() + 1)?;
        w.u32(self.status);
        w.count(self.home.len() + 1)?;
        put_text(w, &self.home)?;
        put_text(w, &self.shell)
    }
}

/// Where a text begins, how long it is, itself, and its NUL.
fn put_text(w: &mut Writer, text: &[u8]) -> Result<(), EncodeError> {
    w.count(0)?;
    w.count(text.len() + 1)?;
    w.slice(text);
    w.u8(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use farcall_wire::ndr::{Order, Syntax};

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn written(
        syntax: Syntax,
        order: Order,
        f: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> String {
        let mut w = Writer::new(syntax, order);
        f(&mut w).expect("it can be written");
        hex(&w.into_bytes())
    }

    /// As `samba.ndr.ndr_pack_in` and `ndr_pack_out` of Samba 4.17 have it for S-1-22-1-1000.
    #[test]
    fn sids_are_samba_s() {
        let bytes = [1, 2, 0, 0, 0, 0, 0, 22, 1, 0, 0, 0, 0xe8, 3, 0, 0];
        for syntax in [Syntax::Ndr, Syntax::Ndr64] {
            let sid = Sid::of(USERS, 1000);
            let same = written(syntax, Order::Little, |w| {
                sid.put(w);
                Ok(())
            });
            assert_eq!(same, hex(&bytes));
            let mut r = Reader::new(&bytes, syntax, Order::Little);
            assert_eq!(Sid::take(&mut r).expect("a SID"), sid);
            assert_eq!((sid.number(USERS), sid.number(GROUPS)), (Some(1000), None));
            for end in 0..bytes.len() {
                let mut r = Reader::new(&bytes[..end], syntax, Order::Little);
                assert!(Sid::take(&mut r).is_err(), "{end}");
            }
        }
        let many = [1, 16, 0, 0, 0, 0, 0, 22];
        let refused = Sid::take(&mut Reader::new(&many, Syntax::Ndr, Order::Little));
        assert!(matches!(refused, Err(Refuse::Fault(BAD_STUB_DATA))));
    }

    /// As `samba.ndr.ndr_pack_out` of Samba 4.17 has it for two users, one of whom there is not.
    #[test]
    fn users_are_samba_s() {
        let infos = [
            Info {
                status: 0,
                home: b"/root".to_vec(),
                shell: b"/bin/sh".to_vec(),
            },
            Info {
                status: NO_SUCH_USER,
                ..Info::default()
            },
        ];
        let put = |syntax, order| written(syntax, order, |w| put_users(w, &infos));
        assert_eq!(
            put(Syntax::Ndr, Order::Little),
            concat!(
                "020000000200000008000000000000000600000000000000060000002f726f6f7400000000000000080000002f62696e",
                "2f73680001000000640000c00100000000000000010000000000000000000000010000000000000000000000",
            )
        );
        assert_eq!(
            put(Syntax::Ndr, Order::Big),
            concat!(
                "000000020000000200000008000000000000000600000000000000062f726f6f7400000000000000000000082f62696e",
                "2f73680000000001c00000640000000100000000000000010000000000000000000000010000000000000000",
            )
        );
        assert_eq!(
            put(Syntax::Ndr64, Order::Little),
            concat!(
                "020000000000000002000000000000000800000000000000000000000000000006000000000000000000000000000000",
                "06000000000000002f726f6f74000000000000000000000008000000000000002f62696e2f7368000100000000000000",
                "640000c00000000001000000000000000000000000000000010000000000000000000000000000000000000000000000",
                "01000000000000000000000000000000",
            )
        );
    }
}
