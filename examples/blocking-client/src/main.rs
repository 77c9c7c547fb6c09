//! A client without `async`: two system calls a call, no runtime. At its other end is a little
//! port mapper, so that the example needs nothing installed.

use farcall::generated::rpcbind::v2::{self, BlockingClient};
use farcall::generated::rpcbind::{CallArgs, CallResult, Mapping, PmaplistPtr};
use farcall::{Call, Error, Refuse, Server};

/// NFS version 3 over TCP, as a port mapper is asked for it.
const NFS: Mapping = Mapping {
    prog: 100_003,
    vers: 3,
    prot: 6,
    port: 0,
};

fn main() -> Result<(), Error> {
    // The server needs a runtime only to start: it serves on threads of its own.
    let server = Server::builder()
        .serve(v2::service(Mapper))
        .listen("tcp://127.0.0.1:0");
    let server = runtime().block_on(server.start())?;

    let mapper = BlockingClient::connect(&server.endpoints()[0])?;
    mapper.null()?;
    println!("NFS is at port {}", mapper.getport(NFS)?);
    println!(
        "nobody is at port {}",
        mapper.getport(Mapping { prog: 1, ..NFS })?
    );
    let refused = mapper.set(NFS).expect_err("the list cannot be changed");
    println!("and changing that: {refused}");
    Ok(())
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

/// A port mapper that knows where NFS would be.
struct Mapper;

impl v2::Server for Mapper {
    async fn getport(&self, _: &Call, asked: Mapping) -> Result<u32, Refuse> {
        Ok(if asked.prog == NFS.prog { 2049 } else { 0 })
    }

    async fn dump(&self, _: &Call) -> Result<PmaplistPtr, Refuse> {
        Err(Refuse::ProcUnavail)
    }

    async fn set(&self, _: &Call, _: Mapping) -> Result<bool, Refuse> {
        Err(Refuse::ProcUnavail)
    }

    async fn unset(&self, _: &Call, _: Mapping) -> Result<bool, Refuse> {
        Err(Refuse::ProcUnavail)
    }

    async fn callit(&self, _: &Call, _: CallArgs) -> Result<CallResult, Refuse> {
        Err(Refuse::ProcUnavail)
    }
}

#[test]
fn it_runs() {
    main().expect("all calls are answered");
}
