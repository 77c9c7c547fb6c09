//! One call as the server's procedure sees it: who calls, what, and what a refusal says.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use farcall_dce::co::group::Group;
use farcall_dce::co::server::{Caller, ReplyTo};
use farcall_dce::security::{AuthLevel, AuthType, Principal};
use farcall_dce::status;
use farcall_onc::auth::{AuthStat, AuthSys, ShortHandle};
use farcall_onc::msg::ReplyBody;
use farcall_wire::ndr::ContextHandle;
use farcall_wire::{DecodeError, EncodeError, Reader, Uuid, ndr};
use tokio::sync::RwLock;

use crate::conduit::Conduit;
use crate::desk::Desk;
use crate::endpoint::Transport;
use crate::held::{self, Held, Shared};
use crate::interface::Interface;
use crate::line::Line;
use crate::program::Program;
use crate::steps::step::Step;
use crate::steps::tap::Sample;

/// Who is at the other end of a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// A host over TCP or UDP.
    Inet(SocketAddr),
    /// A process of this machine over a Unix socket, as the kernel vouches for it.
    Unix {
        /// Effective user id.
        uid: u32,
        /// Effective group id.
        gid: u32,
        /// Process id, if the kernel told.
        pid: Option<i32>,
    },
    /// This very process.
    InProcess,
}

impl Peer {
    /// Whether the peer is a process of this machine: a Unix socket, this process, or an address
    /// of the loopback network.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Inet(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix { .. } | Self::InProcess => true,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "{address}"),
            Self::Unix {
                uid,
                pid: Some(pid),
                ..
            } => write!(f, "unix uid {uid} pid {pid}"),
            Self::Unix { uid, .. } => write!(f, "unix uid {uid}"),
            Self::InProcess => f.write_str("in-process"),
        }
    }
}

/// What the caller says of itself, [RFC 5531] section 8.2. Except for the kernel's word about a
/// Unix socket ([`Peer::Unix`]) none but [`Gss`](Self::Gss) is proved.
///
/// [RFC 5531]: https://www.rfc-editor.org/rfc/rfc5531#section-8.2
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Credential {
    /// `AUTH_NONE`: nothing.
    #[default]
    None,
    /// `AUTH_SYS`: a Unix identity, as claimed.
    Sys(Arc<AuthSys>),
    /// `RPCSEC_GSS`: whom a mechanism has proved, [RFC 2203].
    ///
    /// [RFC 2203]: https://www.rfc-editor.org/rfc/rfc2203
    Gss(Arc<Proved>),
}

/// Whom a mechanism has proved to call, and how the call is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Who.
    pub principal: farcall_onc::gss::Principal,
    /// How.
    pub service: farcall_onc::gss::Service,
}

impl Credential {
    /// The claimed Unix identity, if there is one.
    pub fn sys(&self) -> Option<&AuthSys> {
        match self {
            Self::Sys(sys) => Some(sys),
            Self::None | Self::Gss(_) => None,
        }
    }

    /// Whom a mechanism has proved, if any did.
    pub fn proved(&self) -> Option<&Proved> {
        match self {
            Self::Gss(proved) => Some(proved),
            Self::None | Self::Sys(_) => None,
        }
    }
}

/// Who makes a call, by the best proof there is of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Identity<'a> {
    /// Nobody in particular.
    Nobody,
    /// A Unix user of some machine, as the caller claims (`AUTH_SYS`): no proof at all.
    Claimed(&'a AuthSys),
    /// A user of this machine, as its kernel vouches for it.
    User {
        /// Effective user id.
        uid: u32,
        /// Effective group id.
        gid: u32,
    },
    /// This very process.
    Process,
    /// Whoever a mechanism of authentication has proved it to be, over DCE/RPC.
    Principal(&'a Principal),
    /// Whoever a mechanism has proved it to be, over ONC RPC (`RPCSEC_GSS`).
    Proved(&'a Proved),
    /// Whoever has shown this certificate and has its key, over ONC RPC under TLS. Users of that machine are as it claims:
    /// see [`Call::credential`].
    #[cfg(feature = "tls")]
    Certificate(&'a crate::tls::Certified),
}

/// Where a call came from: what all calls of one read have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) transport: Transport,
    pub(crate) peer: Peer,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) received: Instant,
    pub(crate) connection: u64,
}

/// What is called.
#[derive(Clone, Debug)]
pub(crate) enum Callee {
    /// Nothing yet.
    Nothing,
    /// A program's version, over ONC RPC.
    Program(&'static Program),
    /// An interface, over DCE/RPC.
    Interface(Invoked),
}

/// What a call over DCE/RPC says besides its numbers.
#[derive(Clone, Debug)]
pub(crate) struct Invoked {
    pub(crate) interface: &'static Interface,
    pub(crate) object: Option<Uuid>,
    /// Who was proved to call.
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) place: Arc<Place>,
    /// What the reply is for.
    pub(crate) to: ReplyTo,
    pub(crate) syntax: ndr::Syntax,
    /// No reply is wanted.
    pub(crate) maybe: bool,
    /// What of it comes and goes in pieces, if it has pipes.
    pub(crate) conduit: Option<Arc<Conduit>>,
}

/// What the calls of one association share.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where context handles live.
    pub(crate) group: Arc<Group>,
    /// Which calls their client would like to end.
    pub(crate) desk: Desk,
}

/// One call as the server's procedure sees it.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) xid: u32,
    pub(crate) procedure: u32,
    pub(crate) callee: Callee,
    pub(crate) source: Source,
    pub(crate) credential: Credential,
    pub(crate) deadline: Option<Instant>,
    /// Its ten steps, if it is sampled.
    pub(crate) sample: Option<Arc<Sample>>,
    /// A shorter credential for the caller's next calls, to go with the reply.
    pub(crate) short: Option<Arc<ShortHandle>>,
    /// The connection it came over, for calls in the other direction.
    pub(crate) line: Option<Arc<Line>>,
}

impl Call {
    /// The procedure's number; over DCE/RPC the operation's.
    #[inline]
    pub fn procedure(&self) -> u32 {
        self.procedure
    }

    /// The operation's number, if the call came over DCE/RPC; else 0.
    #[inline]
    pub fn opnum(&self) -> u16 {
        match self.callee {
            Callee::Nothing | Callee::Program(_) => 0,
            // Operation numbers have 16 bits on the wire.
            Callee::Interface(_) => self.procedure as u16,
        }
    }

    /// The program and version that were called, if the call came over ONC RPC.
    pub fn program(&self) -> Option<&'static Program> {
        match &self.callee {
            Callee::Program(program) => Some(program),
            Callee::Nothing | Callee::Interface(_) => None,
        }
    }

    /// The interface that was called, if the call came over DCE/RPC.
    pub fn interface(&self) -> Option<&'static Interface> {
        match &self.callee {
            Callee::Nothing | Callee::Program(_) => None,
            Callee::Interface(invoked) => Some(invoked.interface),
        }
    }

    /// The procedure's name, or its number if the interface does not name it.
    pub fn procedure_name(&self) -> String {
        match &self.callee {
            Callee::Nothing => self.procedure.to_string(),
            Callee::Program(program) => program.procedure_name(self.procedure),
            Callee::Interface(invoked) => invoked.interface.operation_name(self.opnum()),
        }
    }

    /// The transaction id (over DCE/RPC the call id), as the caller chose it.
    pub fn xid(&self) -> u32 {
        self.xid
    }

    /// Who is at the other end of the transport.
    pub fn peer(&self) -> Peer {
        self.source.peer
    }

    /// The address the call was sent to, if the transport has one.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.source.local
    }

    /// How the call came.
    pub fn transport(&self) -> Transport {
        self.source.transport
    }

    /// What the caller says of itself.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// When the call was received.
    pub fn received(&self) -> Instant {
        self.source.received
    }

    /// When the reply will be of no use any more, if that is known. Calls made with
    /// [`Calling::within`](crate::Calling::within) inherit it.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The stub has taken all arguments out of `arguments`: nothing may be left of them, and the
    /// procedure begins.
    ///
    /// # Errors
    /// Bytes are left over.
    #[inline]
    pub fn unpacked(&self, arguments: &Reader<'_>) -> Result<(), DecodeError> {
        arguments.finish()?;
        self.mark(Step::ProcedureBegins);
        Ok(())
    }

    /// The stub of an interface has taken all arguments: the operation begins. What a client put
    /// behind them is none of its business.
    #[inline]
    pub fn begins(&self) {
        self.mark(Step::ProcedureBegins);
    }

    /// Notes that the call is at this step now, if it is sampled.
    #[inline]
    pub(crate) fn mark(&self, step: Step) {
        if let Some(sample) = &self.sample {
            sample.mark(step);
        }
    }

    #[inline]
    pub(crate) fn invoked(&self) -> Result<&Invoked, Refuse> {
        match &self.callee {
            Callee::Interface(invoked) => Ok(invoked),
            Callee::Nothing | Callee::Program(_) => {
                Err(Refuse::SystemErr("this is no call over DCE/RPC".to_owned()))
            }
        }
    }

    fn caller(&self) -> Option<&Caller> {
        self.invoked().ok()?.caller.as_deref()
    }

    /// Who was proved to call over DCE/RPC; nothing if the call is not authenticated.
    pub fn principal(&self) -> Option<&Principal> {
        self.caller().map(|caller| &caller.principal)
    }

    /// Who makes the call, by the best proof there is: a principal, then a certificate or the kernel's word, then a claim.
    pub fn identity(&self) -> Identity<'_> {
        if let Some(principal) = self.principal().filter(|principal| !principal.anonymous) {
            return Identity::Principal(principal);
        }
        if let Some(proved) = self.credential.proved() {
            return Identity::Proved(proved);
        }
        #[cfg(feature = "tls")]
        if let Some(certified) = self.certificate() {
            return Identity::Certificate(certified);
        }
        match (self.source.peer, self.credential.sys()) {
            (Peer::InProcess, _) => Identity::Process,
            (Peer::Unix { uid, gid, .. }, _) => Identity::User { uid, gid },
            (Peer::Inet(_), Some(sys)) => Identity::Claimed(sys),
            (Peer::Inet(_), None) => Identity::Nobody,
        }
    }

    /// Who is at the other end of the connection by a certificate, if the call came over ONC RPC under TLS and one was
    /// shown.
    #[cfg(feature = "tls")]
    pub fn certificate(&self) -> Option<&crate::tls::Certified> {
        self.line.as_ref()?.certified()
    }

    /// Whether the call came under TLS, over ONC RPC.
    pub fn is_under_tls(&self) -> bool {
        self.source.transport == Transport::Tls
    }

    /// Whether nobody in particular was proved to call.
    pub fn is_anonymous(&self) -> bool {
        self.principal().is_none_or(|principal| principal.anonymous)
    }

    /// The mechanism by which the call is authenticated.
    pub fn auth_type(&self) -> AuthType {
        self.caller()
            .map_or(AuthType::NONE, |caller| caller.auth_type)
    }

    /// How the call is protected.
    pub fn auth_level(&self) -> AuthLevel {
        self.caller().map_or(AuthLevel::NONE, |caller| caller.level)
    }

    /// The key that is shared with an authenticated caller, for interfaces that use it
    /// themselves.
    pub fn session_key(&self) -> Option<&[u8]> {
        self.caller()?.session_key.as_deref()
    }

    /// How the arguments are encoded, and the results must be, if the call came over DCE/RPC.
    pub fn syntax(&self) -> Option<ndr::Syntax> {
        Some(self.invoked().ok()?.syntax)
    }

    /// Whether the caller would like the operation to end early. It still waits for a reply;
    /// `nca_s_fault_cancel` (0x1c00000d) says that it was heard.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        match &self.callee {
            Callee::Interface(invoked) => invoked.place.desk.is_cancelled(self.xid),
            Callee::Nothing | Callee::Program(_) => false,
        }
    }

    /// Waits until the caller would like the operation to end early, which over ONC RPC is never.
    /// When a caller gives a call up altogether, the operation's future is dropped instead.
    pub async fn cancelled(&self) {
        std::future::poll_fn(|cx| match &self.callee {
            Callee::Interface(invoked) => invoked.place.desk.poll_cancelled(self.xid, cx),
            Callee::Nothing | Callee::Program(_) => Poll::Pending,
        })
        .await;
    }

    /// The object that is meant, if the call names one.
    pub fn object(&self) -> Option<Uuid> {
        self.invoked().ok()?.object
    }

    /// Gives `state` a context handle, which is good for calls to the same interface over any
    /// connection of this client's association group. The state is dropped when the handle is
    /// [closed](Self::close), or else with the last connection of the group.
    ///
    /// # Errors
    /// The client has as many handles open as [`Limits::handles`](crate::Limits::handles) allows.
    pub fn open<T: Send + Sync + 'static>(&self, state: T) -> Result<ContextHandle, Refuse> {
        let invoked = self.invoked()?;
        let opened = held::open(&invoked.place.group, invoked.interface, state);
        opened.map_err(Refuse::Fault)
    }

    /// The state behind a context handle, for this call alone: another call that wants it waits
    /// until this one lets go of it.
    ///
    /// # Errors
    /// `nca_s_fault_context_mismatch` (0x1c00001a): no such handle is open in this association
    /// group, or it is another interface's, or what is behind it is no `T`.
    pub async fn held<T: Send + Sync + 'static>(
        &self,
        handle: &ContextHandle,
    ) -> Result<Held<T>, Refuse> {
        Ok(Held::of(self.find(handle)?).await)
    }

    /// As [`held`](Self::held), together with other calls that only look at it.
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub async fn shared<T: Send + Sync + 'static>(
        &self,
        handle: &ContextHandle,
    ) -> Result<Shared<T>, Refuse> {
        Ok(Shared::of(self.find(handle)?).await)
    }

    fn find<T: Send + Sync + 'static>(
        &self,
        handle: &ContextHandle,
    ) -> Result<Arc<RwLock<T>>, Refuse> {
        let invoked = self.invoked()?;
        let found = held::find(&invoked.place.group, invoked.interface, handle);
        found.map_err(Refuse::Fault)
    }

    /// Closes a context handle and returns the null handle, which is what a closing operation
    /// gives back. The state is dropped as soon as no call holds it.
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn close(&self, handle: &ContextHandle) -> Result<ContextHandle, Refuse> {
        let invoked = self.invoked()?;
        let closed = held::close(&invoked.place.group, invoked.interface, handle);
        closed.map_err(Refuse::Fault)?;
        Ok(ContextHandle::default())
    }

    /// The connection the call came on, numbered within this process; 0 for datagrams.
    pub fn connection(&self) -> u64 {
        self.source.connection
    }
}

/// Why a procedure is not answered with a result, [RFC 5531] section 9; over DCE/RPC the caller
/// is told by the status of a fault.
///
/// What an application itself wants to say belongs in the interface's results, not here.
///
/// [RFC 5531]: https://www.rfc-editor.org/rfc/rfc5531#section-9
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Refuse {
    /// `PROG_UNAVAIL`: the program is not here. A server says that by itself; a procedure that
    /// passes calls on says it of another program.
    ProgUnavail,
    /// `PROG_MISMATCH`: the program is here in versions from `low` to `high` only; as
    /// [`ProgUnavail`](Self::ProgUnavail).
    ProgMismatch {
        /// The lowest version.
        low: u32,
        /// The highest version.
        high: u32,
    },
    /// `PROC_UNAVAIL`: there is no such procedure, or not here.
    ProcUnavail,
    /// `GARBAGE_ARGS`: the arguments are not what the interface says.
    GarbageArgs,
    /// `SYSTEM_ERR`: the server failed; the text goes to the log, not to the caller.
    SystemErr(String),
    /// `AUTH_ERROR`: the caller may not, or must say more about itself.
    Auth(AuthStat),
    /// No reply at all, as a one-way or batched procedure wants it.
    NoReply,
    /// A fault with this status, over DCE/RPC: one of `nca_s_*` ([C706] appendix E) or a Win32
    /// code. Over ONC RPC the caller is told `SYSTEM_ERR`.
    ///
    /// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/apdxe.htm
    Fault(u32),
}

impl Refuse {
    /// What a caller over DCE/RPC is told: the status of a fault.
    pub(crate) fn status(&self) -> u32 {
        match self {
            Self::ProgUnavail | Self::ProgMismatch { .. } => status::UNK_IF,
            Self::ProcUnavail => status::OP_RNG_ERROR,
            Self::GarbageArgs => status::BAD_STUB_DATA,
            Self::SystemErr(_) | Self::NoReply => status::UNSPEC,
            Self::Auth(_) => status::ACCESS_DENIED,
            Self::Fault(status) => *status,
        }
    }

    /// What a caller over ONC RPC is told. [`NoReply`](Self::NoReply) is for the transport to honour; as a
    /// reply it would be `SYSTEM_ERR`.
    pub(crate) fn body(&self) -> ReplyBody {
        match self {
            Self::ProgUnavail => ReplyBody::ProgUnavail,
            Self::ProgMismatch { low, high } => ReplyBody::ProgMismatch {
                low: *low,
                high: *high,
            },
            Self::ProcUnavail => ReplyBody::ProcUnavail,
            Self::GarbageArgs => ReplyBody::GarbageArgs,
            Self::SystemErr(_) | Self::NoReply | Self::Fault(_) => ReplyBody::SystemErr,
            Self::Auth(stat) => ReplyBody::AuthError(*stat),
        }
    }
}

impl fmt::Display for Refuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProgUnavail => f.write_str("program unavailable"),
            Self::ProgMismatch { low, high } => write!(f, "program has versions {low} to {high}"),
            Self::ProcUnavail => f.write_str("procedure unavailable"),
            Self::GarbageArgs => f.write_str("arguments cannot be decoded"),
            Self::SystemErr(why) => write!(f, "server failed: {why}"),
            Self::Auth(stat) => write!(f, "credential refused: {stat}"),
            Self::NoReply => f.write_str("no reply"),
            Self::Fault(status) => write!(f, "fault {status:#010x}"),
        }
    }
}

impl std::error::Error for Refuse {}

/// What middleware says: a refusal that passed through it is kept, anything else of its own is
/// `SYSTEM_ERR`.
impl From<Box<dyn std::error::Error + Send + Sync>> for Refuse {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        match error.downcast::<Self>() {
            Ok(refuse) => *refuse,
            Err(error) => Self::SystemErr(error.to_string()),
        }
    }
}

impl From<DecodeError> for Refuse {
    #[cold]
    fn from(error: DecodeError) -> Self {
        tracing::debug!(%error, "arguments cannot be decoded");
        Self::GarbageArgs
    }
}

impl From<EncodeError> for Refuse {
    #[cold]
    fn from(error: EncodeError) -> Self {
        Self::SystemErr(format!("result breaks a bound of the interface: {error}"))
    }
}
