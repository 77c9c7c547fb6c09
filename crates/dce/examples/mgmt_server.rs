//! A server of the management interface over blocking sockets: the smallest driver of the core.
//!
//! `cargo run -p farcall-dce --example mgmt_server -- 127.0.0.1:34567`. It answers `inq_if_ids` and
//! `is_server_listening` in NDR, without authentication, one thread a connection.
#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use farcall_dce::co::group::Groups;
use farcall_dce::co::server::{Call, Endpoint, Event, Floor, Interface, Server, ServerConfig};
use farcall_dce::seed::Seed;
use farcall_dce::status;
use farcall_dce::syntax::{Order, SyntaxId, Uuid};
use farcall_wire::TransmitQueue;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

/// Remote management, C706 appendix Q.
const MGMT: SyntaxId = SyntaxId::new(
    Uuid::new(
        0xafa8_bd80,
        0x7d8a,
        0x11c9,
        [0xbe, 0xf4, 0x08, 0, 0x2b, 0x10, 0x29, 0x89],
    ),
    1,
    0,
);

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:34567".into());
    let listener = TcpListener::bind(address)?;
    let port = listener.local_addr()?.port();
    println!("ready {port}");
    let endpoint = Arc::new(Endpoint {
        config: ServerConfig {
            secondary_address: port.to_string().into_bytes(),
            ..ServerConfig::default()
        },
        interfaces: vec![Interface {
            id: MGMT,
            service: 0,
            floor: Floor::OPEN,
            pipes: &[],
        }],
        groups: Groups::new(Seed::replay(1)),
        acceptor: None,
    });
    for stream in listener.incoming() {
        let (stream, endpoint) = (stream?, Arc::clone(&endpoint));
        std::thread::spawn(move || serve(stream, endpoint));
    }
    Ok(())
}

fn serve(mut stream: TcpStream, endpoint: Arc<Endpoint>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut server = Server::new(endpoint, Instant::now(), &Seed::replay(2));
    let (mut buffer, mut out) = (vec![0; 65536], TransmitQueue::new());
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let batch = Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default());
        let mut at = 0;
        let mut closing = false;
        let mut next = None;
        while let Some(event) = next
            .take()
            .or_else(|| server.handle_bytes(Instant::now(), &batch, &mut at, &mut out))
        {
            match event {
                Event::Ask(query) => next = server.answer(Instant::now(), (query.0)(), &mut out),
                Event::Call(call) => run(&mut server, &call, &mut out),
                Event::Close(why) => {
                    eprintln!("closed: {why}");
                    closing = true;
                }
                other => eprintln!("{other:?}"),
            }
        }
        stream.write_all(&out.to_vec())?;
        out.clear();
        if closing {
            return Ok(());
        }
    }
}

fn run(server: &mut Server, call: &Call, out: &mut TransmitQueue) {
    let word = |value: u32| match call.to.order {
        Order::Little => value.to_le_bytes(),
        Order::Big => value.to_be_bytes(),
    };
    let stub = match call.opnum {
        // A vector of one interface: count, maximum, pointer to name, name, status.
        0 => {
            let mut stub = Vec::new();
            for value in [0x0002_0000, 1, 1, 0x0002_0004] {
                stub.extend(word(value));
            }
            stub.extend(match call.to.order {
                Order::Little => MGMT.uuid.to_bytes_le(),
                Order::Big => MGMT.uuid.to_bytes_be(),
            });
            stub.extend([1, 0, 0, 0]);
            stub.extend(word(0));
            stub
        }
        // Four statistics.
        1 => [4, 4, 0, 0, 0, 0, 0].into_iter().flat_map(word).collect(),
        2 => [0, 1].into_iter().flat_map(word).collect(),
        3 => [5].into_iter().flat_map(word).collect(),
        // An empty principal name.
        4 => vec![0; 12],
        _ => {
            let _ = server.fault(&call.to, status::OP_RNG_ERROR, false, out);
            return;
        }
    };
    let _ = server.reply(&call.to, &stub, out);
}
