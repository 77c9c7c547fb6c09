//! `AUTH_SYS`: the caller's Unix user and groups, as it claims them.
//!
//! Read first: RFC 5531 appendix A ("System Authentication"). The bounds are the protocol's: a machine name of
//! 255 bytes, 16 groups. Nothing in it is proof of anything: whoever can send a packet can write any number.

use farcall_wire::{At, DecodeError, Encode, EncodeError, Limits, Padding, Reader, Size, Writer};

/// Longest machine name, in bytes.
pub const MAX_MACHINE: u32 = 255;

/// Most supplementary groups.
pub const MAX_GROUPS: u32 = 16;

/// An `AUTH_SYS` credential, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AuthSys {
    /// An arbitrary number the caller chose.
    pub stamp: u32,
    /// The caller's machine, at most [`MAX_MACHINE`] bytes.
    pub machine: Vec<u8>,
    /// The caller's effective user.
    pub uid: u32,
    /// The caller's effective group.
    pub gid: u32,
    /// The caller's further groups, at most [`MAX_GROUPS`].
    pub gids: Vec<u32>,
}

impl AuthSys {
    /// Reads the body of a credential; see [`SysRef::parse`].
    ///
    /// # Errors
    /// As [`SysRef::parse`].
    pub fn parse(body: &[u8], padding: Padding) -> Result<Self, DecodeError> {
        Ok(SysRef::parse(body, padding)?.to_owned())
    }

    /// Takes the first [`MAX_GROUPS`] of `gids` and returns how many found no room, so that a caller can say
    /// so: a server will not see those groups.
    #[must_use = "groups that do not fit are lost to the server"]
    pub fn take_groups(&mut self, gids: &[u32]) -> usize {
        let most = usize::try_from(MAX_GROUPS).unwrap_or(usize::MAX);
        self.gids = gids.iter().take(most).copied().collect();
        gids.len().saturating_sub(self.gids.len())
    }
}

impl Encode for AuthSys {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(4);
        size.opaque_var(self.machine.len(), MAX_MACHINE)
            .at("machine")?;
        size.add(8);
        size.length(self.gids.len(), MAX_GROUPS).at("gids")?;
        size.add_many(4, self.gids.len());
        Ok(())
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.stamp);
        w.opaque_var(&self.machine);
        w.u32(self.uid);
        w.u32(self.gid);
        w.length(self.gids.len());
        self.gids.iter().for_each(|gid| w.u32(*gid));
    }
}

/// An `AUTH_SYS` credential, borrowed from the message; reading one allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SysRef<'a> {
    /// An arbitrary number the caller chose.
    pub stamp: u32,
    /// The caller's machine.
    pub machine: &'a [u8],
    /// The caller's effective user.
    pub uid: u32,
    /// The caller's effective group.
    pub gid: u32,
    /// The caller's further groups as they stand on the wire.
    groups: &'a [[u8; 4]],
    /// Bytes after the groups, which only [`Padding::Compatible`] lets pass.
    pub trailing: usize,
}

impl<'a> SysRef<'a> {
    /// Reads the body of a credential.
    ///
    /// [`Padding::Compatible`] accepts what all deployed servers accept: any padding bytes after the name, and
    /// bytes after the groups (counted in [`trailing`](Self::trailing), for the log).
    /// [`Padding::Strict`] refuses both.
    ///
    /// # Errors
    /// A name over 255 bytes, more than 16 groups, or a body that ends early: all are `AUTH_BADCRED`.
    // req: onc-5531-a-sys
    #[inline]
    pub fn parse(body: &'a [u8], padding: Padding) -> Result<Self, DecodeError> {
        let mut r = Reader::with_limits(
            body,
            Limits {
                padding,
                ..Limits::DEFAULT
            },
        );
        let stamp = r.u32().at("stamp")?;
        let machine = r.opaque_var(MAX_MACHINE).at("machine")?;
        let uid = r.u32().at("uid")?;
        let gid = r.u32().at("gid")?;
        let count = r.length(MAX_GROUPS).at("gids")?;
        let groups = r.slice(count.saturating_mul(4)).at("gids")?.as_chunks().0;
        if padding == Padding::Strict {
            r.finish()?;
        }
        Ok(Self {
            stamp,
            machine,
            uid,
            gid,
            groups,
            trailing: r.remaining(),
        })
    }

    /// The caller's further groups.
    #[inline]
    pub fn gids(&self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.groups.iter().map(|word| u32::from_be_bytes(*word))
    }

    /// The same credential in memory of its own.
    #[must_use]
    pub fn to_owned(&self) -> AuthSys {
        AuthSys {
            stamp: self.stamp,
            machine: self.machine.to_vec(),
            uid: self.uid,
            gid: self.gid,
            gids: self.gids().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
