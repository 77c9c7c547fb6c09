//! NFS version 3 for the library's server: the interface's procedures, each one call of [`crate::fs`].
//!
//! All of them may wait for a disk, so all but NULL are declared blocking and run beside the connections.

#![allow(
    clippy::result_large_err,
    reason = "what succeeds is as large: both carry a file's attributes"
)]

use farcall::generated::nfs3 as wire;
use farcall::stub::Registered;
use farcall::{Call, Credential, Peer, Refuse, Transport};
use farcall_onc::auth::{AuthStat, Flavor};
use farcall_onc::gss::Service;
use farcall_wire::Str;

use crate::caller::{Caller, User};
use crate::convert::{
    from_time, handle, post, post_handle, set, stable, stable_how, stat, time, wcc,
};
use crate::export::Export;
use crate::fs::{Failed, How, Made, NewNode, Outcome, TRANSFER};
use crate::handle::FileId;
use crate::server::Nfs3;
use crate::status::Status;

/// Largest READ, WRITE or listing over UDP, in bytes: a reply must fit one datagram.
const DATAGRAM: u32 = 32 << 10;
/// What [`farcall_onc::gss::Principal::mechanism`] says of whom Kerberos has proved.
const KERBEROS: &str = "kerberos";
/// The procedures that are declared blocking: all but NULL.
const BLOCKING: std::ops::RangeInclusive<u32> = 1..=21;

impl Nfs3 {
    /// The NFS service, program 100003 version 3.
    pub fn service(&self) -> Registered {
        let blocking: Vec<u32> = BLOCKING.collect();
        wire::v3::service(Procedures(self.clone())).blocking(&blocking)
    }

    /// Whose user a call is made as: whoever the principal is that was proved, or else whom the call claims.
    pub(crate) fn user(&self, call: &Call) -> Option<User> {
        match call.credential().proved() {
            Some(proved) => self.principals.user(&proved.principal.name),
            None => claimed(call),
        }
    }
}

struct Procedures(Nfs3);

/// What a call is about.
struct At<'a> {
    export: &'a Export,
    file: FileId,
    caller: Caller,
}

impl At<'_> {
    fn handle(&self, file: FileId) -> wire::NfsFh3 {
        handle(self.export.handle(file))
    }
}

impl Procedures {
    /// Does something to the file that a handle names, for a caller whose flavour its export takes.
    // req: nfs3-2623-2.7-demanded
    fn on<T, A: Default>(
        &self,
        call: &Call,
        file: &wire::NfsFh3,
        action: impl FnOnce(&At<'_>) -> Outcome<T, A>,
    ) -> Result<Outcome<T, A>, Refuse> {
        let (export, file) = match self.0.exports.open(&file.data, address(call)) {
            Ok(opened) => opened,
            Err(status) => return Ok(Err(status.into())),
        };
        if !export.takes(flavor(call)) {
            return Err(Refuse::Auth(AuthStat::TOOWEAK));
        }
        Ok(action(&At {
            export,
            file,
            caller: export.caller(self.0.user(call)),
        }))
    }

    /// A second handle of the same call.
    fn second(&self, call: &Call, at: &At<'_>, other: &wire::NfsFh3) -> Result<FileId, Status> {
        let (export, file) = self.0.exports.open(&other.data, address(call))?;
        if std::ptr::eq(export, at.export) {
            Ok(file)
        } else {
            Err(Status::XDev)
        }
    }
}

/// The peer's address; none for a process of this machine on a Unix socket or in this process.
pub(crate) fn address(call: &Call) -> Option<std::net::IpAddr> {
    match call.peer() {
        Peer::Inet(address) => Some(address.ip()),
        _ => None,
    }
}

/// The flavour of a call's credential, as exports list them: a pseudo-flavour for callers whom Kerberos has proved.
/// Callers whom another mechanism has proved have a flavour that no list names; whom the kernel names needs no credential.
pub(crate) fn flavor(call: &Call) -> Flavor {
    match call.credential() {
        Credential::Sys(_) => Flavor::SYS,
        Credential::Gss(proved) if proved.principal.mechanism == KERBEROS => match proved.service {
            Service::INTEGRITY => Flavor::KRB5I,
            Service::PRIVACY => Flavor::KRB5P,
            _ => Flavor::KRB5,
        },
        Credential::Gss(_) => Flavor::GSS,
        _ if matches!(call.peer(), Peer::Unix { .. }) => Flavor::SYS,
        _ => Flavor::NONE,
    }
}

/// The user that the call claims to come from. Over a Unix socket the kernel knows better, unless it is root's word.
fn claimed(call: &Call) -> Option<User> {
    let claimed = call.credential().sys().map(|sys| User {
        uid: sys.uid,
        gid: sys.gid,
        gids: sys.gids.to_vec(),
    });
    match call.peer() {
        Peer::Unix { uid, gid, .. } if uid != 0 => {
            let known = User {
                uid,
                gid,
                gids: Vec::new(),
            };
            Some(claimed.filter(|user| *user == known).unwrap_or(known))
        }
        _ => claimed,
    }
}

/// The most bytes of data that the call's transport carries.
fn most(call: &Call) -> u32 {
    if call.transport() == Transport::Udp {
        DATAGRAM
    } else {
        TRANSFER
    }
}

impl wire::v3::Server for Procedures {
    async fn getattr(
        &self,
        call: &Call,
        args: wire::Getattr3Args,
    ) -> Result<wire::Getattr3Res, Refuse> {
        let done: Outcome<_, ()> = self.on(call, &args.object, |at| {
            let attr = at.export.getattr(at.file)?;
            Ok(wire::Getattr3Resok {
                obj_attributes: crate::convert::attr(&attr),
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Getattr3Res::Nfs3Ok(ok),
            Err(failed) => wire::Getattr3Res::Default(stat(failed.status)),
        })
    }

    async fn setattr(
        &self,
        call: &Call,
        args: wire::Setattr3Args,
    ) -> Result<wire::Setattr3Res, Refuse> {
        let guard = match &args.guard {
            wire::Sattrguard3::True(ctime) => Some(from_time(ctime)),
            wire::Sattrguard3::False => None,
        };
        let done = self.on(call, &args.object, |at| {
            at.export
                .setattr(&at.caller, at.file, &set(&args.new_attributes), guard)
        })?;
        Ok(match done {
            Ok(done) => wire::Setattr3Res::Nfs3Ok(wire::Setattr3Resok { obj_wcc: wcc(done) }),
            Err(failed) => wire::Setattr3Res::Default(
                stat(failed.status),
                wire::Setattr3Resfail {
                    obj_wcc: wcc(failed.attrs),
                },
            ),
        })
    }

    async fn lookup(
        &self,
        call: &Call,
        args: wire::Lookup3Args,
    ) -> Result<wire::Lookup3Res, Refuse> {
        let done = self.on(call, &args.what.dir, |at| {
            let (file, attr, directory) =
                at.export
                    .lookup(&at.caller, at.file, args.what.name.as_bytes())?;
            Ok(wire::Lookup3Resok {
                object: at.handle(file),
                obj_attributes: post(Some(attr)),
                dir_attributes: post(Some(directory)),
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Lookup3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Lookup3Res::Default(
                stat(status),
                wire::Lookup3Resfail {
                    dir_attributes: post(attrs),
                },
            ),
        })
    }

    async fn access(
        &self,
        call: &Call,
        args: wire::Access3Args,
    ) -> Result<wire::Access3Res, Refuse> {
        let done = self.on(call, &args.object, |at| {
            let (access, attr) = at.export.access(&at.caller, at.file, args.access)?;
            Ok(wire::Access3Resok {
                obj_attributes: post(Some(attr)),
                access,
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Access3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Access3Res::Default(
                stat(status),
                wire::Access3Resfail {
                    obj_attributes: post(attrs),
                },
            ),
        })
    }

    async fn readlink(
        &self,
        call: &Call,
        args: wire::Readlink3Args,
    ) -> Result<wire::Readlink3Res, Refuse> {
        let done = self.on(call, &args.symlink, |at| {
            let (text, attr) = at.export.readlink(at.file)?;
            Ok(wire::Readlink3Resok {
                symlink_attributes: post(Some(attr)),
                data: text.into(),
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Readlink3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Readlink3Res::Default(
                stat(status),
                wire::Readlink3Resfail {
                    symlink_attributes: post(attrs),
                },
            ),
        })
    }

    async fn read(&self, call: &Call, args: wire::Read3Args) -> Result<wire::Read3Res, Refuse> {
        let done = self.on(call, &args.file, |at| {
            let count = args.count.min(most(call));
            let read = at.export.read(&at.caller, at.file, args.offset, count)?;
            Ok(wire::Read3Resok {
                file_attributes: post(read.attr),
                count: u32::try_from(read.data.len()).unwrap_or(0),
                eof: read.eof,
                data: read.data,
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Read3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Read3Res::Default(
                stat(status),
                wire::Read3Resfail {
                    file_attributes: post(attrs),
                },
            ),
        })
    }

    async fn write(&self, call: &Call, args: wire::Write3Args) -> Result<wire::Write3Res, Refuse> {
        let done = self.on(call, &args.file, |at| {
            let count = usize::try_from(args.count).unwrap_or(usize::MAX);
            // What was not sent cannot be written; what was sent beyond the count is not meant.
            let data = args.data.get(..count).ok_or(Status::Inval)?;
            let written =
                at.export
                    .write(&at.caller, at.file, args.offset, data, stable(args.stable))?;
            Ok(wire::Write3Resok {
                file_wcc: wcc(written.wcc),
                count: written.count,
                committed: stable_how(written.committed),
                verf: written.verifier,
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Write3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Write3Res::Default(
                stat(status),
                wire::Write3Resfail {
                    file_wcc: wcc(attrs),
                },
            ),
        })
    }

    async fn create(
        &self,
        call: &Call,
        args: wire::Create3Args,
    ) -> Result<wire::Create3Res, Refuse> {
        let how = match &args.how {
            wire::Createhow3::Unchecked(attr) => How::Unchecked(set(attr)),
            wire::Createhow3::Guarded(attr) => How::Guarded(set(attr)),
            wire::Createhow3::Exclusive(verifier) => How::Exclusive(*verifier),
        };
        let done = self.on(call, &args.r#where.dir, |at| {
            let name = args.r#where.name.as_bytes();
            let (Made { file, attr }, changed) =
                at.export.create(&at.caller, at.file, name, how)?;
            Ok(wire::Create3Resok {
                obj: post_handle(Some(at.export.handle(file))),
                obj_attributes: post(Some(attr)),
                dir_wcc: wcc(changed),
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Create3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Create3Res::Default(
                stat(status),
                wire::Create3Resfail {
                    dir_wcc: wcc(attrs),
                },
            ),
        })
    }

    async fn mkdir(&self, call: &Call, args: wire::Mkdir3Args) -> Result<wire::Mkdir3Res, Refuse> {
        let done = self.on(call, &args.r#where.dir, |at| {
            let name = args.r#where.name.as_bytes();
            let (Made { file, attr }, changed) =
                at.export
                    .mkdir(&at.caller, at.file, name, &set(&args.attributes))?;
            Ok(wire::Mkdir3Resok {
                obj: post_handle(Some(at.export.handle(file))),
                obj_attributes: post(Some(attr)),
                dir_wcc: wcc(changed),
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Mkdir3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Mkdir3Res::Default(
                stat(status),
                wire::Mkdir3Resfail {
                    dir_wcc: wcc(attrs),
                },
            ),
        })
    }

    async fn symlink(
        &self,
        call: &Call,
        args: wire::Symlink3Args,
    ) -> Result<wire::Symlink3Res, Refuse> {
        let done = self.on(call, &args.r#where.dir, |at| {
            let name = args.r#where.name.as_bytes();
            let text = args.symlink.symlink_data.as_bytes();
            let attributes = set(&args.symlink.symlink_attributes);
            let (Made { file, attr }, changed) =
                at.export
                    .symlink(&at.caller, at.file, name, text, &attributes)?;
            Ok(wire::Symlink3Resok {
                obj: post_handle(Some(at.export.handle(file))),
                obj_attributes: post(Some(attr)),
                dir_wcc: wcc(changed),
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Symlink3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Symlink3Res::Default(
                stat(status),
                wire::Symlink3Resfail {
                    dir_wcc: wcc(attrs),
                },
            ),
        })
    }

    async fn mknod(&self, call: &Call, args: wire::Mknod3Args) -> Result<wire::Mknod3Res, Refuse> {
        let done = self.on(call, &args.r#where.dir, |at| {
            let name = args.r#where.name.as_bytes();
            let (node, attributes) = node(&args.what)?;
            let (Made { file, attr }, changed) =
                at.export
                    .mknod(&at.caller, at.file, name, node, &set(attributes))?;
            Ok(wire::Mknod3Resok {
                obj: post_handle(Some(at.export.handle(file))),
                obj_attributes: post(Some(attr)),
                dir_wcc: wcc(changed),
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Mknod3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Mknod3Res::Default(
                stat(status),
                wire::Mknod3Resfail {
                    dir_wcc: wcc(attrs),
                },
            ),
        })
    }

    async fn remove(
        &self,
        call: &Call,
        args: wire::Remove3Args,
    ) -> Result<wire::Remove3Res, Refuse> {
        let done = self.on(call, &args.object.dir, |at| {
            at.export
                .remove(&at.caller, at.file, args.object.name.as_bytes())
        })?;
        Ok(match done {
            Ok(done) => wire::Remove3Res::Nfs3Ok(wire::Remove3Resok { dir_wcc: wcc(done) }),
            Err(Failed { status, attrs }) => wire::Remove3Res::Default(
                stat(status),
                wire::Remove3Resfail {
                    dir_wcc: wcc(attrs),
                },
            ),
        })
    }

    async fn rmdir(&self, call: &Call, args: wire::Rmdir3Args) -> Result<wire::Rmdir3Res, Refuse> {
        let done = self.on(call, &args.object.dir, |at| {
            at.export
                .rmdir(&at.caller, at.file, args.object.name.as_bytes())
        })?;
        Ok(match done {
            Ok(done) => wire::Rmdir3Res::Nfs3Ok(wire::Rmdir3Resok { dir_wcc: wcc(done) }),
            Err(Failed { status, attrs }) => wire::Rmdir3Res::Default(
                stat(status),
                wire::Rmdir3Resfail {
                    dir_wcc: wcc(attrs),
                },
            ),
        })
    }

    async fn rename(
        &self,
        call: &Call,
        args: wire::Rename3Args,
    ) -> Result<wire::Rename3Res, Refuse> {
        let (from, to) = (&args.from, &args.to);
        let done = self.on(call, &from.dir, |at| {
            let directory = self.second(call, at, &to.dir)?;
            let old = (at.file, from.name.as_bytes());
            at.export
                .rename(&at.caller, old, (directory, to.name.as_bytes()))
        })?;
        Ok(match done {
            Ok((from, to)) => wire::Rename3Res::Nfs3Ok(wire::Rename3Resok {
                fromdir_wcc: wcc(from),
                todir_wcc: wcc(to),
            }),
            Err(Failed {
                status,
                attrs: (from, to),
            }) => wire::Rename3Res::Default(
                stat(status),
                wire::Rename3Resfail {
                    fromdir_wcc: wcc(from),
                    todir_wcc: wcc(to),
                },
            ),
        })
    }

    async fn link(&self, call: &Call, args: wire::Link3Args) -> Result<wire::Link3Res, Refuse> {
        let done = self.on(call, &args.file, |at| {
            let directory = self.second(call, at, &args.link.dir)?;
            at.export
                .link(&at.caller, at.file, directory, args.link.name.as_bytes())
        })?;
        Ok(match done {
            Ok((attr, changed)) => wire::Link3Res::Nfs3Ok(wire::Link3Resok {
                file_attributes: post(attr),
                linkdir_wcc: wcc(changed),
            }),
            Err(Failed {
                status,
                attrs: (attr, changed),
            }) => wire::Link3Res::Default(
                stat(status),
                wire::Link3Resfail {
                    file_attributes: post(attr),
                    linkdir_wcc: wcc(changed),
                },
            ),
        })
    }

    async fn readdir(
        &self,
        call: &Call,
        args: wire::Readdir3Args,
    ) -> Result<wire::Readdir3Res, Refuse> {
        let done = self.on(call, &args.dir, |at| {
            let from = (args.cookie, args.cookieverf);
            let page = at
                .export
                .readdir(&at.caller, at.file, from, args.count.min(most(call)))?;
            let entries = page
                .entries
                .into_iter()
                .map(|(cookie, fileid, name, ())| wire::Entry3 {
                    fileid,
                    name: Str::from(name),
                    cookie,
                });
            Ok(wire::Readdir3Resok {
                dir_attributes: post(Some(page.attr)),
                cookieverf: page.verifier,
                reply: wire::Dirlist3 {
                    entries: entries.collect(),
                    eof: page.eof,
                },
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Readdir3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Readdir3Res::Default(
                stat(status),
                wire::Readdir3Resfail {
                    dir_attributes: post(attrs),
                },
            ),
        })
    }

    async fn readdirplus(
        &self,
        call: &Call,
        args: wire::Readdirplus3Args,
    ) -> Result<wire::Readdirplus3Res, Refuse> {
        let done = self.on(call, &args.dir, |at| {
            let from = (args.cookie, args.cookieverf);
            let count = args.maxcount.min(most(call));
            let page = at
                .export
                .readdirplus(&at.caller, at.file, from, args.dircount, count)?;
            let entries = page
                .entries
                .into_iter()
                .map(|(cookie, fileid, name, plus)| wire::Entryplus3 {
                    fileid,
                    name: Str::from(name),
                    cookie,
                    name_attributes: post(plus.map(|(_, attr)| attr)),
                    name_handle: post_handle(plus.map(|(file, _)| at.export.handle(file))),
                });
            Ok(wire::Readdirplus3Resok {
                dir_attributes: post(Some(page.attr)),
                cookieverf: page.verifier,
                reply: wire::Dirlistplus3 {
                    entries: entries.collect(),
                    eof: page.eof,
                },
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Readdirplus3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Readdirplus3Res::Default(
                stat(status),
                wire::Readdirplus3Resfail {
                    dir_attributes: post(attrs),
                },
            ),
        })
    }

    async fn fsstat(
        &self,
        call: &Call,
        args: wire::Fsstat3Args,
    ) -> Result<wire::Fsstat3Res, Refuse> {
        let done = self.on(call, &args.fsroot, |at| {
            let space = at.export.fsstat(at.file)?;
            let ([tbytes, fbytes, abytes], [tfiles, ffiles, afiles]) = (space.bytes, space.files);
            Ok(wire::Fsstat3Resok {
                obj_attributes: post(Some(space.attr)),
                tbytes,
                fbytes,
                abytes,
                tfiles,
                ffiles,
                afiles,
                invarsec: 0,
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Fsstat3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Fsstat3Res::Default(
                stat(status),
                wire::Fsstat3Resfail {
                    obj_attributes: post(attrs),
                },
            ),
        })
    }

    async fn fsinfo(
        &self,
        call: &Call,
        args: wire::Fsinfo3Args,
    ) -> Result<wire::Fsinfo3Res, Refuse> {
        let done = self.on(call, &args.fsroot, |at| {
            let limits = at.export.limits(at.file, most(call))?;
            Ok(wire::Fsinfo3Resok {
                obj_attributes: post(Some(limits.attr)),
                rtmax: limits.transfer,
                rtpref: limits.transfer,
                rtmult: limits.multiple,
                wtmax: limits.transfer,
                wtpref: limits.transfer,
                wtmult: limits.multiple,
                dtpref: limits.listing,
                maxfilesize: limits.size,
                time_delta: time(limits.delta),
                properties: limits.properties,
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Fsinfo3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Fsinfo3Res::Default(
                stat(status),
                wire::Fsinfo3Resfail {
                    obj_attributes: post(attrs),
                },
            ),
        })
    }

    async fn pathconf(
        &self,
        call: &Call,
        args: wire::Pathconf3Args,
    ) -> Result<wire::Pathconf3Res, Refuse> {
        let done = self.on(call, &args.object, |at| {
            let limits = at.export.limits(at.file, most(call))?;
            Ok(wire::Pathconf3Resok {
                obj_attributes: post(Some(limits.attr)),
                linkmax: limits.links,
                name_max: limits.name,
                no_trunc: true,
                chown_restricted: true,
                case_insensitive: false,
                case_preserving: true,
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Pathconf3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Pathconf3Res::Default(
                stat(status),
                wire::Pathconf3Resfail {
                    obj_attributes: post(attrs),
                },
            ),
        })
    }

    async fn commit(
        &self,
        call: &Call,
        args: wire::Commit3Args,
    ) -> Result<wire::Commit3Res, Refuse> {
        let done = self.on(call, &args.file, |at| {
            let (changed, verf) = at.export.commit(&at.caller, at.file)?;
            Ok(wire::Commit3Resok {
                file_wcc: wcc(changed),
                verf,
            })
        })?;
        Ok(match done {
            Ok(ok) => wire::Commit3Res::Nfs3Ok(ok),
            Err(Failed { status, attrs }) => wire::Commit3Res::Default(
                stat(status),
                wire::Commit3Resfail {
                    file_wcc: wcc(attrs),
                },
            ),
        })
    }
}

/// What MKNOD makes, and its attributes.
fn node(what: &wire::Mknoddata3) -> Result<(NewNode, &wire::Sattr3), Status> {
    let numbers = |device: &wire::Devicedata3| (device.spec.specdata1, device.spec.specdata2);
    Ok(match what {
        wire::Mknoddata3::Nf3Chr(device) => {
            let (major, minor) = numbers(device);
            (NewNode::Character(major, minor), &device.dev_attributes)
        }
        wire::Mknoddata3::Nf3Blk(device) => {
            let (major, minor) = numbers(device);
            (NewNode::Block(major, minor), &device.dev_attributes)
        }
        wire::Mknoddata3::Nf3Sock(attributes) => (NewNode::Socket, attributes),
        wire::Mknoddata3::Nf3Fifo(attributes) => (NewNode::Fifo, attributes),
        wire::Mknoddata3::Default(_) => return Err(Status::BadType),
    })
}
