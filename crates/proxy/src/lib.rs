//! The RPC proxy: clients on the outside reach RPC servers on the inside over HTTP, and never talk to them directly.
//!
//! Every request is authenticated, its target and its calls are checked against one policy, and what passes is
//! forwarded. Read first: MS-RPCH sections 1.3 and 3.2.3 to 3.2.4 (the proxy's two roles).
//!
//! Modules, from the ground up; each uses only those above it:
//!
//! - [`near`]: names that are spelled almost like one that was not found;
//! - [`target`]: the `server:port` that a client asks for;
//! - [`identity`]: who a client was proved to be;
//! - [`names`]: what interfaces and operations are called;
//! - [`config`]: what `proxy.toml` says;
//! - [`policy`]: who may reach what, when and how often;
//! - [`check`]: what is wrong or unwise in a configuration;
//! - [`live`]: what is in force, exchanged at once and as a whole;
//! - [`inspect`]: what a client is about to call, followed through clear headers;
//! - [`audit`]: who did what, one line for each event;
//! - [`metrics`]: numbers for machines that watch;
//! - [`tap`]: a capture of the RPC inside;
//! - [`status`]: what goes on, as text for people;
//! - [`origin`]: whence a connection comes, where something stands in front;
//! - [`guard`]: the judge of raw requests below the HTTP server;
//! - [`tls`]: certificates, the server's and its clients';
//! - [`auth`]: who a connection is;
//! - [`mod@line`]: a client's connection as a channel;
//! - [`channel`]: a channel as it comes from the HTTP side;
//! - [`peers`]: other proxies of the same farm;
//! - [`front`]: where clients come in;
//! - [`relay`]: virtual connections, to the server and back;
//! - [`proxy`]: the whole.

pub mod near;
pub mod target;
pub mod identity;
pub mod names;
pub mod config;
pub mod policy;
pub mod check;
pub mod live;
pub mod inspect;
pub mod audit;
pub mod metrics;
pub mod tap;
pub mod status;
pub mod origin;
pub mod guard;
pub mod tls;
pub mod auth;
pub mod line;
pub mod channel;
pub mod peers;
pub mod front;
pub mod relay;
pub mod proxy;

pub use identity::{AuthKind, Identity};
pub use proxy::Proxy;
pub use target::{Host, Target};
