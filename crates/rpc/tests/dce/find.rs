//! Interfaces found through an endpoint mapper, and registered there.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farcall::stub::{Interface, NdrReply, Operation, Operations, Registered};
use farcall::{Call, Client, Endpoint, Options, Phase, Refuse, Registrar, Server};
use farcall_dce::syntax::SyntaxId;
use farcall_dce::tower::{Protseq, Tower};
use farcall_wire::Uuid;
use farcall_wire::ndr::{self, Align};

use crate::calls::TCP;
use crate::echo::{self, ECHO, Echo};

/// The endpoint mapper's interface.
static MAPPER: Interface = Interface {
    uuid: Uuid::new(
        0xe1af_8308,
        0x5d1f,
        0x11c9,
        [0x91, 0xa4, 0x08, 0x00, 0x2b, 0x14, 0xa0, 0xfa],
    ),
    major: 3,
    minor: 0,
    name: "ept",
    operations: &[] as &[Operation],
    endpoints: &[],
};

/// A mapper that keeps towers and answers every question with all of them.
#[derive(Clone, Default)]
struct Mapper {
    towers: Arc<Mutex<Vec<Tower>>>,
}

impl Mapper {
    fn towers(&self) -> Vec<Tower> {
        self.towers.lock().expect("unpoisoned").clone()
    }
}

impl Operations for Mapper {
    fn interface(&self) -> &'static Interface {
        &MAPPER
    }

    async fn call(
        &self,
        call: &Call,
        r: &mut ndr::Reader<'_>,
        reply: &mut NdrReply<'_>,
    ) -> Result<(), Refuse> {
        match call.opnum() {
            // ept_insert and ept_delete: a count, a hoisted count, entries, towers.
            opnum @ 0..=1 => {
                let (count, _) = (r.u32()?, r.wide()?);
                for _ in 0..count {
                    r.slice(20)?;
                    let (_first, actual) = (r.u32()?, r.u32()?);
                    r.slice(actual as usize)?;
                    r.align(Align::A4)?;
                }
                for _ in 0..count {
                    let (_, len) = (r.u32()?, r.u32()?);
                    let tower = Tower::parse(r.slice(len as usize)?)?;
                    r.align(Align::A4)?;
                    let mut towers = self.towers.lock().expect("unpoisoned");
                    match opnum {
                        0 if towers.contains(&tower) => {}
                        0 => towers.push(tower),
                        _ => towers.retain(|known| *known != tower),
                    }
                }
                reply.encode(|w| {
                    w.u32(0);
                    Ok(())
                })
            }
            3 => {
                let towers = self.towers();
                reply.encode(|w| {
                    w.zeros(20);
                    w.u32(towers.len() as u32);
                    w.count(16)?;
                    w.count(0)?;
                    w.count(towers.len())?;
                    for _ in &towers {
                        w.referent(true)?;
                    }
                    for tower in &towers {
                        let bytes = tower.to_bytes();
                        w.count(bytes.len())?;
                        w.u32(bytes.len() as u32);
                        w.slice(&bytes);
                    }
                    w.u32(0);
                    Ok(())
                })
            }
            _ => Err(Refuse::ProcUnavail),
        }
    }
}

async fn mapper(mapper: &Mapper) -> Server {
    let service = Registered::interface(mapper.clone()).allow_anonymous();
    let server = Server::builder().serve(service).listen(TCP);
    server.start().await.expect("mapper starts")
}

fn asking(mapper: &Server) -> Options {
    Options {
        mapper: Some(mapper.endpoints()[0].clone()),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_client_without_a_port_asks_the_endpoint_mapper() {
    let known = Mapper::default();
    let mapper = mapper(&known).await;
    let error = Client::connect_interface_with("ncacn_ip_tcp:127.0.0.1", &ECHO, asking(&mapper));
    let error = error.await.expect_err("not registered");
    assert_eq!(error.phase(), Phase::Resolve);
    assert!(error.to_string().contains("not registered"), "{error}");

    let server = Server::builder()
        .serve(echo::service(&Echo::default()))
        .listen(TCP);
    let server = server.start().await.expect("server starts");
    let port = server.endpoints()[0].port().expect("a port").to_string();
    let id = SyntaxId {
        uuid: ECHO.uuid,
        major: 1,
        minor: 0,
    };
    let tower = |protseq, at: &str| {
        Tower::new(id, SyntaxId::NDR, protseq, at, Ipv4Addr::LOCALHOST).expect("a tower")
    };
    let towers = [
        tower(Protseq::Pipe, "\\pipe\\echo"),
        tower(Protseq::Tcp, &port),
    ];
    known.towers.lock().expect("unpoisoned").extend(towers);
    let client = Client::connect_interface_with("ncacn_ip_tcp:127.0.0.1", &ECHO, asking(&mapper));
    let client = client.await.expect("found");
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);

    let options = asking(&mapper);
    let blocking = tokio::task::spawn_blocking(move || {
        farcall::blocking::Client::connect_interface_with("ncacn_ip_tcp:127.0.0.1", &ECHO, options)
    });
    blocking.await.expect("no panic").expect("found");
}

#[tokio::test]
async fn a_server_registers_its_interfaces_and_takes_them_away() {
    let known = Mapper::default();
    let mapper = mapper(&known).await;
    let server = Server::builder()
        .serve(echo::service(&Echo::default()))
        .listen(TCP)
        .listen(format!("ncalrpc:[register-{}]", std::process::id()))
        .register_with(Registrar::at(&mapper.endpoints()[0]).expect("an endpoint"));
    let server = server.start().await.expect("registered");
    let towers = known.towers();
    let ways: Vec<_> = towers.iter().filter_map(Tower::protseq).collect();
    assert_eq!(ways, [Protseq::Tcp, Protseq::Local]);
    assert_eq!(towers[0].port(), server.endpoints()[0].port());
    assert_eq!(towers[0].interface().map(|id| id.uuid), Some(ECHO.uuid));
    server.drain(Duration::from_secs(1)).await;
    assert!(known.towers().is_empty());
}

#[tokio::test]
async fn a_mapper_that_has_forgotten_is_told_again() {
    let known = Mapper::default();
    let mapper = mapper(&known).await;
    let registrar = Registrar::at(&mapper.endpoints()[0]).expect("an endpoint");
    let server = Server::builder()
        .serve(echo::service(&Echo::default()))
        .listen(TCP)
        .register_with(registrar.every(Duration::from_millis(20)));
    let server = server.start().await.expect("registered");
    known.towers.lock().expect("unpoisoned").clear();
    let told = async {
        while known.towers().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(20), told).await;
    told.expect("it was told again");
    assert_eq!(known.towers()[0].port(), server.endpoints()[0].port());
    server.drain(Duration::from_secs(1)).await;
    assert!(known.towers().is_empty(), "and not after it has ended");
}

#[tokio::test]
async fn a_mapper_that_is_not_there_says_what_helps() {
    let options = Options {
        mapper: Some(
            "ncacn_ip_tcp:127.0.0.1[1]"
                .parse::<Endpoint>()
                .expect("an endpoint"),
        ),
        ..Options::default()
    };
    let error = Client::connect_interface_with("ncacn_ip_tcp:127.0.0.1", &ECHO, options).await;
    let error = error.expect_err("no mapper");
    assert_eq!(error.phase(), Phase::Resolve);
    assert!(
        error.hints()[0].contains("with the port known"),
        "{error:?}"
    );
}
