//! No allocation for a call of an interface: neither at the server nor at the asynchronous client, once both are
//! warm. The whole process is counted, so this test is alone in its binary.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;

use farcall::stub::{Interface, NdrReply, Operations, Registered};
use farcall::{Call, Client, Refuse, Runtime, Server};
use farcall_wire::{Uuid, ndr};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static NEXT: Interface = Interface {
    uuid: Uuid::new(0x0555_0555, 0, 0, [5; 8]),
    major: 1,
    minor: 0,
    name: "next",
    operations: &[],
    endpoints: &[],
};

struct Next;

impl Operations for Next {
    fn interface(&self) -> &'static Interface {
        &NEXT
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut ndr::Reader<'_>,
        reply: &mut NdrReply<'_>,
    ) -> Result<(), Refuse> {
        match call.opnum() {
            0 => reply.encode(|_| Ok(())),
            1 => {
                let number = arguments.u32()?;
                reply.encode(|w| {
                    w.u32(number.wrapping_add(1));
                    Ok(())
                })
            }
            _ => Err(Refuse::ProcUnavail),
        }
    }
}

/// A PDU in one fragment, little-endian, as C706 section 12.6.3.1 lays its header out.
fn pdu(ptype: u8, call: u32, body: &[u8]) -> Vec<u8> {
    let len = (16 + body.len()) as u16;
    let mut bytes = vec![5, 0, ptype, 0x13, 0x10, 0, 0, 0];
    bytes.extend(len.to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(call.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// A bind of context 0 to the interface in NDR.
fn bind() -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0];
    body.extend(NEXT.uuid.to_bytes_le());
    body.extend(1_u32.to_le_bytes());
    let ndr = Uuid::new(
        0x8a88_5d04,
        0x1ceb,
        0x11c9,
        [0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60],
    );
    body.extend(ndr.to_bytes_le());
    body.extend(2_u32.to_le_bytes());
    pdu(11, 1, &body)
}

fn request(call: u32, opnum: u16, stub: &[u8]) -> Vec<u8> {
    let mut body = (stub.len() as u32).to_le_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(opnum.to_le_bytes());
    body.extend(stub);
    pdu(0, call, &body)
}

/// Sends `requests` and reads `responses`, `rounds` times.
fn exchange(stream: &mut TcpStream, requests: &[u8], responses: &mut [u8], rounds: usize) {
    for _ in 0..rounds {
        stream.write_all(requests).expect("sent");
        stream.read_exact(responses).expect("answered");
    }
}

#[test]
fn a_call_of_an_interface_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("runtime");
    let server = Server::builder()
        .serve(Registered::interface(Next).allow_anonymous())
        .runtime(Runtime::Threads(1))
        .listen("ncacn_ip_tcp:127.0.0.1[0]");
    let server = runtime.block_on(server.start()).expect("server starts");
    let port = server.endpoints()[0].port().expect("port");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    stream.write_all(&bind()).expect("sent");
    let mut ack = vec![0; 256];
    let len = stream.read(&mut ack).expect("answered");
    assert!(len > 26 && ack[2] == 12, "bind_ack");

    let null = request(2, 0, &[]);
    let many: Vec<u8> = (2..66)
        .flat_map(|call| request(call, 1, &41_u32.to_le_bytes()))
        .collect();
    for (name, requests, responses) in [("null", &null, 24), ("64", &many, 64 * 28)] {
        let mut responses = vec![0; responses];
        exchange(&mut stream, requests, &mut responses, 2000);
        let region = Region::new(ALLOCATOR);
        exchange(&mut stream, requests, &mut responses, 1000);
        let change = region.change();
        let count = change.allocations + change.reallocations;
        assert_eq!(count, 0, "{name}: {change:?}");
        assert_eq!(responses[2], 2, "a response");
    }
    // Its lane goes to the client's connection, during the first rounds.
    drop(stream);
    runtime.block_on(async {
        let client = Client::connect_interface(&server.endpoints()[0], &NEXT).await;
        let client = client.expect("connects");
        for round in 0..3000 {
            let region = Region::new(ALLOCATOR);
            let calling = client.operation(
                &NEXT,
                1,
                &[],
                |w| {
                    w.u32(round);
                    Ok(())
                },
                |r| r.u32(),
            );
            assert_eq!(calling.await.expect("next"), round + 1);
            let change = region.change();
            let count = change.allocations + change.reallocations;
            assert!(round < 2000 || count == 0, "round {round}: {change:?}");
        }
    });
}
