//! Security mechanisms: NTLM, SPNEGO and Kerberos, both sides of each, and the users they know.
//!
//! The cores ask for authentication through traits of their own (`farcall_dce::security`); what stands behind these is here. A mechanism
//! is sans-io: tokens in, tokens out, and a [`Query`](farcall_dce::security::Query) where something must be looked up or may block.
//!
//! Modules, from the ground up; each uses only those above it:
//!
//! - [`secret`]: keys and passwords in memory;
//! - [`account`]: who may be proved, and where that is looked up;
//! - [`environment`]: randomness, time, channel bindings;
//! - [`context`]: what every mechanism is, whoever uses it;
//! - [`dce`]: a mechanism behind the traits of the DCE core;
//! - [`ntlm`]: NTLM version 2;
//! - [`spnego`]: agreeing on a mechanism;
//! - `kerberos`: Kerberos through the system's library (feature `kerberos`);
//! - [`users`]: accounts in a file;
//! - [`mechanisms`]: what a server accepts;
//! - [`credentials`]: who a client is;
//! - [`gss`]: all of it behind the traits of the ONC core, for `RPCSEC_GSS`.

pub mod secret;
pub mod account;
pub mod environment;
pub mod context;
pub mod dce;
pub mod ntlm;
pub mod spnego;
#[cfg(feature = "kerberos")]
pub mod kerberos;
pub mod users;
pub mod mechanisms;
pub mod credentials;
pub mod gss;

pub use account::{Account, Accounts};
pub use context::{Context, Handshake, Progress};
pub use credentials::{Auth, Credentials};
pub use environment::{ChannelBindings, Environment};
pub use mechanisms::Mechanisms;
pub use secret::{Key, Password};
pub use users::{Users, UsersFile};
