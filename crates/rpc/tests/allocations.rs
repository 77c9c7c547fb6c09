//! No allocation for a call: neither at the server nor at the asynchronous client, once both are
//! warm. The whole process is counted, so this test is alone in its binary.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;

use farcall::stub::{Procedure, Program, Registered, Reply, Service};
use farcall::{Call, Client, Refuse, Runtime, Server};
use farcall_wire::Reader;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static PROGRAM: Program = Program {
    number: 0x2000_0555,
    version: 1,
    name: "NEXT_PROG",
    version_name: "NEXT_V1",
    procedures: &[Procedure {
        number: 1,
        name: "NEXT",
        idempotent: true,
        blocking: false,
    }],
};

struct Next;

impl Service for Next {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut Reader<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), Refuse> {
        match call.procedure() {
            1 => {
                let number = arguments.u32()?;
                arguments.finish()?;
                reply.encode(&number.wrapping_add(1))
            }
            _ => Err(Refuse::ProcUnavail),
        }
    }
}

async fn start() -> Server {
    let server = Server::builder()
        .serve(Registered::new(Next))
        .runtime(Runtime::Threads(1));
    server
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .expect("server starts")
}

/// A call without credentials, as one record.
fn record(xid: u32, procedure: u32, arguments: &[u32]) -> Vec<u8> {
    let len = 40 + 4 * arguments.len() as u32;
    let head = [
        0x8000_0000 | len,
        xid,
        0,
        2,
        PROGRAM.number,
        PROGRAM.version,
        procedure,
        0,
        0,
        0,
        0,
    ];
    head.iter()
        .chain(arguments)
        .flat_map(|word| word.to_be_bytes())
        .collect()
}

/// Sends `request` and reads `replies`, `rounds` times.
fn exchange(stream: &mut TcpStream, request: &[u8], replies: &mut [u8], rounds: usize) {
    for _ in 0..rounds {
        stream.write_all(request).expect("sent");
        stream.read_exact(replies).expect("answered");
    }
}

#[test]
fn a_call_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("runtime");
    let server = runtime.block_on(start());
    let port = server.endpoints()[0].port().expect("port");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    let (null, next) = (record(1, 0, &[]), record(2, 1, &[41]));
    let many = next.repeat(64);
    for (name, request, reply) in [
        ("null", &null, 28),
        ("one", &next, 32),
        ("64", &many, 64 * 32),
    ] {
        let mut replies = vec![0; reply];
        exchange(&mut stream, request, &mut replies, 2000);
        let region = Region::new(ALLOCATOR);
        exchange(&mut stream, request, &mut replies, 1000);
        let change = region.change();
        assert_eq!(
            change.allocations + change.reallocations,
            0,
            "{name}: {change:?}"
        );
    }

    // Its lane goes to the client's connection, during the first rounds.
    drop(stream);
    runtime.block_on(async {
        let client = Client::connect(&server.endpoints()[0], PROGRAM.number, 1).await;
        let client = client.expect("connects");
        for round in 0..3000 {
            let region = Region::new(ALLOCATOR);
            let number = client
                .call(&PROGRAM, 1, &round, |r| r.u32())
                .await
                .expect("next");
            assert_eq!(number, round + 1);
            let change = region.change();
            let count = change.allocations + change.reallocations;
            assert!(round < 2000 || count == 0, "round {round}: {change:?}");
        }
    });
}
