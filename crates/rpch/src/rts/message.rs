//! Every RTS PDU of MS-RPCH section 2.2.4, as what it means.
//!
//! Read first: MS-RPCH section 2.2.4. PDUs of different sequences that look the same are one variant here; the state of
//! who receives it says which one it is. Versions are not kept: they are sent as 1 and ignored.

use crate::rts::command::{Command, Destination, FlowControlAck, RtsError};
use crate::rts::cookie::Cookie;
use crate::rts::pdu::{Flags, Pdu};
use bytes::Bytes;
use core::fmt;
use std::net::IpAddr;

/// A PDU of section 2.2.4. Windows and lifetimes are in bytes, times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// CONN/A1: client to outbound proxy.
    ConnA1 {
        /// The virtual connection to establish.
        virtual_connection: Cookie,
        /// The OUT channel.
        out_channel: Cookie,
        /// The client's receive window.
        window: u32,
    },
    /// CONN/A2: outbound proxy to server.
    ConnA2 {
        /// The virtual connection to establish.
        virtual_connection: Cookie,
        /// The OUT channel.
        out_channel: Cookie,
        /// Lifetime of the OUT channel between proxy and client.
        lifetime: u32,
        /// The proxy's receive window.
        window: u32,
    },
    /// CONN/A3: outbound proxy to client.
    ConnA3 {
        /// The proxy's connection timeout.
        timeout: u32,
    },
    /// CONN/B1: client to inbound proxy.
    ConnB1 {
        /// The virtual connection to establish.
        virtual_connection: Cookie,
        /// The IN channel.
        in_channel: Cookie,
        /// Lifetime of the IN channel.
        lifetime: u32,
        /// Keep-alive that the client asks for; 0 stands for 300 000.
        keepalive: u32,
        /// The client's association group.
        group: Cookie,
    },
    /// CONN/B2: inbound proxy to server.
    ConnB2 {
        /// The virtual connection to establish.
        virtual_connection: Cookie,
        /// The IN channel.
        in_channel: Cookie,
        /// The proxy's receive window.
        window: u32,
        /// The proxy's connection timeout.
        timeout: u32,
        /// The client's association group.
        group: Cookie,
        /// The client's address.
        client: IpAddr,
    },
    /// CONN/B3: server to inbound proxy.
    ConnB3 {
        /// The server's receive window.
        window: u32,
    },
    /// CONN/C1 and CONN/C2: server to outbound proxy to client.
    ConnC {
        /// The inbound proxy's receive window.
        window: u32,
        /// The inbound proxy's connection timeout.
        timeout: u32,
    },
    /// IN_R1/A1 and IN_R2/A1: client to successor inbound proxy.
    InA1(Succession),
    /// IN_R1/A2: successor inbound proxy to server.
    InR1A2 {
        /// Which channel follows which.
        succession: Succession,
        /// The proxy's receive window.
        window: u32,
        /// The proxy's connection timeout.
        timeout: u32,
    },
    /// IN_R1/A3 and A4: server to outbound proxy to client.
    InR1A4 {
        /// The successor inbound proxy's receive window.
        window: u32,
        /// Its connection timeout.
        timeout: u32,
    },
    /// IN_R1/A5 and A6, IN_R2/A2 and A5, OUT_R2/A4: the successor's cookie.
    Successor(Cookie),
    /// IN_R1/B1: predecessor inbound proxy to server.
    InR1B1,
    /// IN_R1/B2: server to successor inbound proxy.
    InR1B2 {
        /// The server's receive window.
        window: u32,
    },
    /// IN_R2/A3 and A4: server to outbound proxy to client.
    InR2A4,
    /// OUT_R1/A1 and A2, OUT_R2/A1 and A2: server to outbound proxy to client.
    OutA2,
    /// OUT_R1/A3 and OUT_R2/A3: client to successor outbound proxy.
    OutA3 {
        /// Which channel follows which.
        succession: Succession,
        /// The client's receive window.
        window: u32,
    },
    /// OUT_R1/A4: successor outbound proxy to server.
    OutR1A4 {
        /// Which channel follows which.
        succession: Succession,
        /// Lifetime of the successor channel between proxy and client.
        lifetime: u32,
        /// The proxy's receive window.
        window: u32,
        /// The proxy's connection timeout.
        timeout: u32,
    },
    /// OUT_R1/A5 and A6: server to predecessor outbound proxy to client.
    OutR1A6 {
        /// The successor outbound proxy's connection timeout.
        timeout: u32,
    },
    /// OUT_R1/A7 and A8, OUT_R2/A8: client to inbound proxy to server.
    OutA8(Cookie),
    /// OUT_R1/A9, A10 and A11, OUT_R2/B1: the successor is established.
    Ance,
    /// OUT_R2/A5 and A6: server to outbound proxy to client.
    OutR2A6,
    /// OUT_R2/A7: client to inbound proxy (to server).
    OutR2A7(Cookie),
    /// OUT_R2/B2: server to outbound proxy, the successor is not established.
    OutR2B2,
    /// OUT_R2/B3: outbound proxy to client, the last PDU of the predecessor.
    OutR2B3,
    /// OUT_R2/C1: client to successor outbound proxy; this much padding, none for an Empty command.
    OutR2C1(Option<u16>),
    /// Keep-Alive: client to inbound proxy.
    KeepAlive {
        /// The interval; 0 stands for 300 000.
        interval: u32,
    },
    /// Ping Traffic Sent Notify: outbound proxy to server.
    PingTrafficSent {
        /// Bytes that the proxy sent of its own.
        bytes: u32,
    },
    /// Echo: a proxy's answer to an echo request.
    Echo,
    /// Ping.
    Ping,
    /// FlowControlAck, FlowControlAckWithDestination.
    FlowControlAck {
        /// Where it is forwarded to, if not to who receives it.
        to: Option<Destination>,
        /// What is acknowledged.
        ack: FlowControlAck,
    },
}

/// A channel of a virtual connection, and which one it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Succession {
    /// The virtual connection.
    pub virtual_connection: Cookie,
    /// The channel that ends.
    pub predecessor: Cookie,
    /// The channel that begins.
    pub successor: Cookie,
}

/// Which PDU, without what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are the variants of `Message`")]
pub enum Kind {
    ConnA1,
    ConnA2,
    ConnA3,
    ConnB1,
    ConnB2,
    ConnB3,
    ConnC,
    InA1,
    InR1A2,
    InR1A4,
    Successor,
    InR1B1,
    InR1B2,
    InR2A4,
    OutA2,
    OutA3,
    OutR1A4,
    OutR1A6,
    OutA8,
    Ance,
    OutR2A6,
    OutR2A7,
    OutR2B2,
    OutR2B3,
    OutR2C1,
    KeepAlive,
    PingTrafficSent,
    Echo,
    Ping,
    FlowControlAck,
}

/// The version that is sent.
const VERSION: Command = Command::Version(1);
const IN_RECYCLE: Flags = Flags(0x0c);
const OUT_RECYCLE: Flags = Flags(0x14);

impl Message {
    /// Reads a whole PDU and says which it is.
    ///
    /// # Errors
    /// [`RtsError`].
    // req: rpch-2.2.4-identify
    pub fn parse(bytes: &[u8]) -> Result<Self, RtsError> {
        let pdu = Pdu::parse(bytes)?;
        let found = match pdu.flags {
            Flags::NONE => plain(&pdu.commands),
            Flags::RECYCLE_CHANNEL => recycle(&pdu.commands),
            Flags::IN_CHANNEL | IN_RECYCLE => in_channel(pdu.flags, &pdu.commands),
            Flags::OUT_CHANNEL | OUT_RECYCLE => out_channel(pdu.flags, &pdu.commands),
            flags => other(flags, &pdu.commands),
        };
        found.ok_or(RtsError::UnknownPdu {
            flags: pdu.flags.0,
            commands: pdu.commands.len(),
        })
    }

    /// The PDU's bytes.
    #[must_use]
    pub fn emit(&self) -> Bytes {
        let (flags, commands) = self.parts();
        Pdu { flags, commands }.emit()
    }

    /// Which PDU it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::ConnA1 { .. } => Kind::ConnA1,
            Self::ConnA2 { .. } => Kind::ConnA2,
            Self::ConnA3 { .. } => Kind::ConnA3,
            Self::ConnB1 { .. } => Kind::ConnB1,
            Self::ConnB2 { .. } => Kind::ConnB2,
            Self::ConnB3 { .. } => Kind::ConnB3,
            Self::ConnC { .. } => Kind::ConnC,
            Self::InA1(_) => Kind::InA1,
            Self::InR1A2 { .. } => Kind::InR1A2,
            Self::InR1A4 { .. } => Kind::InR1A4,
            Self::Successor(_) => Kind::Successor,
            Self::InR1B1 => Kind::InR1B1,
            Self::InR1B2 { .. } => Kind::InR1B2,
            Self::InR2A4 => Kind::InR2A4,
            Self::OutA2 => Kind::OutA2,
            Self::OutA3 { .. } => Kind::OutA3,
            Self::OutR1A4 { .. } => Kind::OutR1A4,
            Self::OutR1A6 { .. } => Kind::OutR1A6,
            Self::OutA8(_) => Kind::OutA8,
            Self::Ance => Kind::Ance,
            Self::OutR2A6 => Kind::OutR2A6,
            Self::OutR2A7(_) => Kind::OutR2A7,
            Self::OutR2B2 => Kind::OutR2B2,
            Self::OutR2B3 => Kind::OutR2B3,
            Self::OutR2C1(_) => Kind::OutR2C1,
            Self::KeepAlive { .. } => Kind::KeepAlive,
            Self::PingTrafficSent { .. } => Kind::PingTrafficSent,
            Self::Echo => Kind::Echo,
            Self::Ping => Kind::Ping,
            Self::FlowControlAck { .. } => Kind::FlowControlAck,
        }
    }

    /// Where the PDU is forwarded to, if it carries a Destination command.
    #[must_use]
    pub fn destination(&self) -> Option<Destination> {
        match self {
            Self::InR1A4 { .. }
            | Self::InR2A4
            | Self::OutA2
            | Self::OutR1A6 { .. }
            | Self::OutR2A6 => Some(Destination::Client),
            Self::OutA8(_) | Self::OutR2A7(_) => Some(Destination::Server),
            Self::FlowControlAck { to, .. } => *to,
            _ => None,
        }
    }

    /// Flags and commands.
    fn parts(&self) -> (Flags, Vec<Command>) {
        match *self {
            Self::ConnA1 { .. }
            | Self::ConnA2 { .. }
            | Self::ConnA3 { .. }
            | Self::ConnB1 { .. }
            | Self::ConnB2 { .. }
            | Self::ConnB3 { .. }
            | Self::ConnC { .. } => self.connection_parts(),
            Self::InA1(_)
            | Self::InR1A2 { .. }
            | Self::InR1A4 { .. }
            | Self::Successor(_)
            | Self::InR1B1
            | Self::InR1B2 { .. }
            | Self::InR2A4 => self.in_parts(),
            Self::KeepAlive { interval } => {
                (Flags::OTHER_CMD, vec![Command::ClientKeepalive(interval)])
            }
            Self::PingTrafficSent { bytes } => (
                Flags::OTHER_CMD,
                vec![Command::PingTrafficSentNotify(bytes)],
            ),
            Self::Echo => (Flags::ECHO, Vec::new()),
            Self::Ping => (Flags::PING, Vec::new()),
            Self::FlowControlAck { to, ack } => (Flags::OTHER_CMD, {
                let to = to.map(Command::Destination);
                to.into_iter()
                    .chain([Command::FlowControlAck(ack)])
                    .collect()
            }),
            _ => self.out_parts(),
        }
    }

    fn connection_parts(&self) -> (Flags, Vec<Command>) {
        use Command::{
            AssociationGroupId, ChannelLifetime, ClientAddress, ClientKeepalive, ConnectionTimeout,
            Cookie, ReceiveWindowSize,
        };
        match *self {
            Self::ConnA1 {
                virtual_connection: vc,
                out_channel,
                window,
            } => {
                let names = [VERSION, Cookie(vc), Cookie(out_channel)];
                (Flags::NONE, with(&names, &[ReceiveWindowSize(window)]))
            }
            Self::ConnA2 {
                virtual_connection: vc,
                out_channel,
                lifetime,
                window,
            } => {
                let names = [VERSION, Cookie(vc), Cookie(out_channel)];
                let sizes = [ChannelLifetime(lifetime), ReceiveWindowSize(window)];
                (Flags::OUT_CHANNEL, with(&names, &sizes))
            }
            Self::ConnA3 { timeout } => (Flags::NONE, vec![ConnectionTimeout(timeout)]),
            Self::ConnB1 {
                virtual_connection: vc,
                in_channel,
                lifetime,
                keepalive,
                group,
            } => {
                let names = [VERSION, Cookie(vc), Cookie(in_channel)];
                let sizes = [
                    ChannelLifetime(lifetime),
                    ClientKeepalive(keepalive),
                    AssociationGroupId(group),
                ];
                (Flags::NONE, with(&names, &sizes))
            }
            Self::ConnB2 {
                virtual_connection: vc,
                in_channel,
                window,
                timeout,
                group,
                client,
            } => {
                let names = [VERSION, Cookie(vc), Cookie(in_channel)];
                let sizes = [
                    ReceiveWindowSize(window),
                    ConnectionTimeout(timeout),
                    AssociationGroupId(group),
                    ClientAddress(client),
                ];
                (Flags::IN_CHANNEL, with(&names, &sizes))
            }
            Self::ConnB3 { window } => (Flags::NONE, vec![ReceiveWindowSize(window), VERSION]),
            Self::ConnC { window, timeout } => {
                let sizes = [ReceiveWindowSize(window), ConnectionTimeout(timeout)];
                (Flags::NONE, with(&[VERSION], &sizes))
            }
            _ => (Flags::NONE, Vec::new()),
        }
    }

    fn in_parts(&self) -> (Flags, Vec<Command>) {
        use Command::{ConnectionTimeout, Cookie, Empty, ReceiveWindowSize};
        let to_client = Command::Destination(Destination::Client);
        match *self {
            Self::InA1(succession) => (Flags::RECYCLE_CHANNEL, succession.with(&[])),
            Self::InR1A2 {
                succession,
                window,
                timeout,
            } => {
                let sizes = [ReceiveWindowSize(window), ConnectionTimeout(timeout)];
                (IN_RECYCLE, succession.with(&sizes))
            }
            Self::InR1A4 { window, timeout } => {
                let sizes = [ReceiveWindowSize(window), ConnectionTimeout(timeout)];
                (Flags::NONE, with(&[to_client, VERSION], &sizes))
            }
            Self::Successor(cookie) => (Flags::NONE, vec![Cookie(cookie)]),
            Self::InR1B1 => (Flags::NONE, vec![Empty]),
            Self::InR1B2 { window } => (Flags::NONE, vec![ReceiveWindowSize(window)]),
            _ => (Flags::NONE, vec![to_client]),
        }
    }

    fn out_parts(&self) -> (Flags, Vec<Command>) {
        use Command::{
            Ance, ChannelLifetime, ConnectionTimeout, Cookie, Empty, NegativeAnce, Padding,
            ReceiveWindowSize,
        };
        let to_client = Command::Destination(Destination::Client);
        let to_server = Command::Destination(Destination::Server);
        match *self {
            Self::OutA2 => (Flags::RECYCLE_CHANNEL, vec![to_client]),
            Self::OutA3 { succession, window } => (
                Flags::RECYCLE_CHANNEL,
                succession.with(&[ReceiveWindowSize(window)]),
            ),
            Self::OutR1A4 {
                succession,
                lifetime,
                window,
                timeout,
            } => {
                let sizes = [
                    ChannelLifetime(lifetime),
                    ReceiveWindowSize(window),
                    ConnectionTimeout(timeout),
                ];
                (OUT_RECYCLE, succession.with(&sizes))
            }
            Self::OutR1A6 { timeout } => (
                Flags::OUT_CHANNEL,
                vec![to_client, VERSION, ConnectionTimeout(timeout)],
            ),
            Self::OutA8(cookie) => (Flags::OUT_CHANNEL, vec![to_server, Cookie(cookie)]),
            Self::OutR2A6 => (Flags::NONE, vec![to_client, Ance]),
            Self::OutR2A7(cookie) => (Flags::OUT_CHANNEL, vec![to_server, Cookie(cookie), VERSION]),
            Self::OutR2B2 => (Flags::NONE, vec![NegativeAnce]),
            Self::OutR2B3 => (Flags::EOF, vec![Ance]),
            Self::OutR2C1(None) => (Flags::PING, vec![Empty]),
            Self::OutR2C1(Some(count)) => (Flags::PING, vec![Padding(count)]),
            _ => (Flags::NONE, vec![Ance]),
        }
    }
}

impl Succession {
    /// The commands of a succession, and those behind them.
    fn with(&self, rest: &[Command]) -> Vec<Command> {
        let names = [
            VERSION,
            Command::Cookie(self.virtual_connection),
            Command::Cookie(self.predecessor),
            Command::Cookie(self.successor),
        ];
        with(&names, rest)
    }
}

fn with(first: &[Command], rest: &[Command]) -> Vec<Command> {
    first.iter().chain(rest).copied().collect()
}

/// PDUs without flags.
fn plain(commands: &[Command]) -> Option<Message> {
    use Command::{
        Ance, AssociationGroupId, ChannelLifetime, ClientKeepalive, ConnectionTimeout, Cookie,
        Empty, NegativeAnce, ReceiveWindowSize, Version,
    };
    const TO_CLIENT: Command = Command::Destination(Destination::Client);
    Some(match *commands {
        [
            Version(_),
            Cookie(vc),
            Cookie(out_channel),
            ReceiveWindowSize(window),
        ] => Message::ConnA1 {
            virtual_connection: vc,
            out_channel,
            window,
        },
        [ConnectionTimeout(timeout)] => Message::ConnA3 { timeout },
        [
            Version(_),
            Cookie(virtual_connection),
            Cookie(in_channel),
            ChannelLifetime(lifetime),
            ClientKeepalive(keepalive),
            AssociationGroupId(group),
        ] => Message::ConnB1 {
            virtual_connection,
            in_channel,
            lifetime,
            keepalive,
            group,
        },
        [ReceiveWindowSize(window), Version(_)] => Message::ConnB3 { window },
        [
            Version(_),
            ReceiveWindowSize(window),
            ConnectionTimeout(timeout),
        ] => Message::ConnC { window, timeout },
        [
            to,
            Version(_),
            ReceiveWindowSize(window),
            ConnectionTimeout(timeout),
        ] if to == TO_CLIENT => Message::InR1A4 { window, timeout },
        [Cookie(cookie)] => Message::Successor(cookie),
        [Empty] => Message::InR1B1,
        [ReceiveWindowSize(window)] => Message::InR1B2 { window },
        [Ance] => Message::Ance,
        [NegativeAnce] => Message::OutR2B2,
        [to] if to == TO_CLIENT => Message::InR2A4,
        [to, Ance] if to == TO_CLIENT => Message::OutR2A6,
        _ => return None,
    })
}

/// PDUs that recycle, between clients and proxies.
fn recycle(commands: &[Command]) -> Option<Message> {
    use Command::{Cookie, ReceiveWindowSize, Version};
    Some(match *commands {
        [Version(_), Cookie(vc), Cookie(from), Cookie(to)] => {
            Message::InA1(succession(vc, from, to))
        }
        [
            Version(_),
            Cookie(vc),
            Cookie(from),
            Cookie(to),
            ReceiveWindowSize(window),
        ] => Message::OutA3 {
            succession: succession(vc, from, to),
            window,
        },
        [Command::Destination(Destination::Client)] => Message::OutA2,
        _ => return None,
    })
}

fn in_channel(flags: Flags, commands: &[Command]) -> Option<Message> {
    use Command::{
        AssociationGroupId, ClientAddress, ConnectionTimeout, Cookie, ReceiveWindowSize, Version,
    };
    Some(match *commands {
        [
            Version(_),
            Cookie(virtual_connection),
            Cookie(in_channel),
            ReceiveWindowSize(window),
            ConnectionTimeout(timeout),
            AssociationGroupId(group),
            ClientAddress(client),
        ] if flags == Flags::IN_CHANNEL => Message::ConnB2 {
            virtual_connection,
            in_channel,
            window,
            timeout,
            group,
            client,
        },
        [
            Version(_),
            Cookie(vc),
            Cookie(from),
            Cookie(to),
            ReceiveWindowSize(window),
            ConnectionTimeout(timeout),
        ] if flags == IN_RECYCLE => Message::InR1A2 {
            succession: succession(vc, from, to),
            window,
            timeout,
        },
        _ => return None,
    })
}

fn out_channel(flags: Flags, commands: &[Command]) -> Option<Message> {
    use Command::{ChannelLifetime, ConnectionTimeout, Cookie, ReceiveWindowSize, Version};
    if flags == OUT_RECYCLE {
        return match *commands {
            [
                Version(_),
                Cookie(vc),
                Cookie(from),
                Cookie(to),
                ChannelLifetime(lifetime),
                ReceiveWindowSize(window),
                ConnectionTimeout(timeout),
            ] => Some(Message::OutR1A4 {
                succession: succession(vc, from, to),
                lifetime,
                window,
                timeout,
            }),
            _ => None,
        };
    }
    Some(match *commands {
        [
            Version(_),
            Cookie(virtual_connection),
            Cookie(out_channel),
            ChannelLifetime(lifetime),
            ReceiveWindowSize(window),
        ] => Message::ConnA2 {
            virtual_connection,
            out_channel,
            lifetime,
            window,
        },
        [
            Command::Destination(Destination::Client),
            Version(_),
            ConnectionTimeout(timeout),
        ] => Message::OutR1A6 { timeout },
        [Command::Destination(Destination::Server), Cookie(cookie)] => Message::OutA8(cookie),
        [
            Command::Destination(Destination::Server),
            Cookie(cookie),
            Version(_),
        ] => Message::OutR2A7(cookie),
        _ => return None,
    })
}

/// PDUs of no sequence, and the two that end one.
fn other(flags: Flags, commands: &[Command]) -> Option<Message> {
    use Command::{Ance, ClientKeepalive, Empty, Padding, PingTrafficSentNotify};
    Some(match (flags, commands) {
        (Flags::OTHER_CMD, [Command::FlowControlAck(ack)]) => Message::FlowControlAck {
            to: None,
            ack: *ack,
        },
        (Flags::OTHER_CMD, [Command::Destination(to), Command::FlowControlAck(ack)]) => {
            Message::FlowControlAck {
                to: Some(*to),
                ack: *ack,
            }
        }
        (Flags::OTHER_CMD, [ClientKeepalive(interval)]) => Message::KeepAlive {
            interval: *interval,
        },
        (Flags::OTHER_CMD, [PingTrafficSentNotify(bytes)]) => {
            Message::PingTrafficSent { bytes: *bytes }
        }
        (Flags::PING, []) => Message::Ping,
        (Flags::PING, [Empty]) => Message::OutR2C1(None),
        (Flags::PING, [Padding(count)]) => Message::OutR2C1(Some(*count)),
        (Flags::ECHO, []) => Message::Echo,
        (Flags::EOF, [Ance]) => Message::OutR2B3,
        _ => return None,
    })
}

fn succession(virtual_connection: Cookie, predecessor: Cookie, successor: Cookie) -> Succession {
    Succession {
        virtual_connection,
        predecessor,
        successor,
    }
}

/// The names of section 2.2.4, all that share a form.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnA1 => "CONN/A1",
            Self::ConnA2 => "CONN/A2",
            Self::ConnA3 => "CONN/A3",
            Self::ConnB1 => "CONN/B1",
            Self::ConnB2 => "CONN/B2",
            Self::ConnB3 => "CONN/B3",
            Self::ConnC => "CONN/C1,C2",
            Self::InA1 => "IN_R1/A1,IN_R2/A1",
            Self::InR1A2 => "IN_R1/A2",
            Self::InR1A4 => "IN_R1/A3,A4",
            Self::Successor => "IN_R1/A5,A6,IN_R2/A2,A5,OUT_R2/A4",
            Self::InR1B1 => "IN_R1/B1",
            Self::InR1B2 => "IN_R1/B2",
            Self::InR2A4 => "IN_R2/A3,A4",
            Self::OutA2 => "OUT_R1/A1,A2,OUT_R2/A1,A2",
            Self::OutA3 => "OUT_R1/A3,OUT_R2/A3",
            Self::OutR1A4 => "OUT_R1/A4",
            Self::OutR1A6 => "OUT_R1/A5,A6",
            Self::OutA8 => "OUT_R1/A7,A8,OUT_R2/A8",
            Self::Ance => "OUT_R1/A9,A10,A11,OUT_R2/B1",
            Self::OutR2A6 => "OUT_R2/A5,A6",
            Self::OutR2A7 => "OUT_R2/A7",
            Self::OutR2B2 => "OUT_R2/B2",
            Self::OutR2B3 => "OUT_R2/B3",
            Self::OutR2C1 => "OUT_R2/C1",
            Self::KeepAlive => "Keep-Alive",
            Self::PingTrafficSent => "PingTrafficSentNotify",
            Self::Echo => "Echo",
            Self::Ping => "Ping",
            Self::FlowControlAck => "FlowControlAck",
        })
    }
}
