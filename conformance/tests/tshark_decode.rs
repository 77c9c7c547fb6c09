//! tshark reads what we put on the wire and finds nothing malformed.

use std::future::Future;

use farcall::{Client, Options, Server};
use farcall_conformance::demo::{self, Blob, NUMBER, Node, Shape, Str, v1};
use farcall_conformance::peer::available;
use farcall_conformance::peer::tshark::{Capture, Captured};
use farcall_conformance::{case, network_test};
use farcall_onc::auth::AuthSys;
use farcall_onc::msg::Target;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// Every kind of call and reply over one transport.
async fn talk(server: &Server, at: usize) {
    let user = AuthSys {
        stamp: 7,
        machine: b"vm".to_vec(),
        uid: 1,
        gid: 2,
        gids: vec![3, 4],
    };
    let options = Options::default()
        .auth_sys(&user)
        .expect("within its bounds");
    let endpoint = server.endpoints()[at].clone();
    let raw = Client::connect_with(endpoint, NUMBER, 1, options)
        .await
        .expect("connect");
    let client = v1::Client::from(raw.clone());
    client.echo(&Str::from("hello")).await.expect("echo");
    client.add(40, 2).await.expect("add");
    let (s, list) = (
        Shape::Green(Str::from("odd")),
        vec![Node { v: 1 }, Node { v: 2 }],
    );
    let blob = Blob {
        data: vec![7; 3001],
        h: 1,
        d: 1.5,
        s,
        list,
    };
    client.blob(&blob).await.expect("blob");
    // No such procedure, version, program; garbage arguments.
    for (program, version, procedure) in
        [(NUMBER, 1, 77), (NUMBER, 9, 1), (7, 1, 1), (NUMBER, 1, 2)]
    {
        let target = Target {
            program,
            version,
            procedure,
        };
        raw.call_target(target, &(), |_| Ok(()))
            .await
            .expect_err("refused");
    }
    let calls: Vec<_> = (0..50).map(|i| tokio::spawn(client.add(i, 1))).collect();
    for call in calls {
        call.await.expect("join").expect("add");
    }
}

/// Seven single calls and 50 at once.
const CALLS: usize = 57;

/// Captures all of that over one transport.
fn captured(listen: &'static str, transport: &str) -> Captured {
    run(async {
        let mut builder = Server::builder().listen(listen);
        for service in demo::services() {
            builder = builder.serve(service);
        }
        let server = builder.start().await.expect("start the server");
        let port = server.endpoints()[0].port().expect("a port");
        let capture = Capture::of_onc(transport, port).expect("start tshark");
        talk(&server, 0).await;
        capture.stop().expect("stop tshark")
    })
}

/// What must be true of any capture of ours.
fn judge(captured: &Captured) {
    let faults = captured.fields("_ws.malformed || _ws.unreassembled", &["frame.number"]);
    assert_eq!(
        faults.expect("read"),
        Vec::<String>::new(),
        "malformed packets"
    );
    let calls = captured.fields("rpc.msgtyp == 0", &["rpc.xid", "rpc.procedure"]);
    let replies = captured.fields("rpc.msgtyp == 1", &["rpc.xid", "rpc.state_accept"]);
    // Several messages may lie in one packet; tshark separates them by commas.
    let count = |rows: std::io::Result<Vec<String>>, column: usize| {
        let rows = rows.expect("read");
        let values = rows.iter().flat_map(|row| {
            row.split('\t')
                .nth(column)
                .unwrap_or_default()
                .split(',')
                .map(str::to_owned)
        });
        values.collect::<Vec<String>>()
    };
    let mut asked = count(calls, 0);
    assert_eq!(asked.len(), CALLS, "{asked:?}");
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), CALLS, "an xid twice");
    let said = count(replies, 1);
    let how_many = |stat: &str| said.iter().filter(|said| *said == stat).count();
    let stats = ["0", "1", "2", "3", "4", "5"].map(how_many);
    assert_eq!(stats, [CALLS - 4, 1, 1, 1, 1, 0], "{said:?}");
    let flavors = count(captured.fields("rpc.msgtyp == 0", &["rpc.auth.flavor"]), 0);
    assert!(flavors.iter().any(|flavor| flavor == "1"), "{flavors:?}");
    let machines = count(
        captured.fields("rpc.msgtyp == 0", &["rpc.auth.machinename"]),
        0,
    );
    assert!(
        machines.iter().all(|machine| machine == "vm"),
        "{machines:?}"
    );
}

network_test! {
    fn our_traffic_over_tcp_is_well_formed() {
        if !available(&["tshark"]) {
            return;
        }
        let captured = captured("tcp://127.0.0.1:0", "tcp");
        judge(&captured);
        // One fragment a record, and it is the last one.
        let last = captured.fields("rpc", &["rpc.lastfrag"]).expect("read");
        assert!(last.iter().all(|row| row.split(',').all(|last| last == "1" || last == "True")));
        case::ran("tshark", "our traffic over TCP");
    }

    fn our_traffic_over_udp_is_well_formed() {
        if !available(&["tshark"]) {
            return;
        }
        judge(&captured("udp://127.0.0.1:0", "udp"));
        case::ran("tshark", "our traffic over UDP");
    }

    fn our_traffic_over_ipv6_is_well_formed() {
        if !available(&["tshark"]) {
            return;
        }
        judge(&captured("tcp://[::1]:0", "tcp"));
        judge(&captured("udp://[::1]:0", "udp"));
        case::ran("tshark", "our traffic over IPv6");
    }
}
