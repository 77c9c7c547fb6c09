//! Who may call what.

use farcall::{Call, Client, Options, Refuse, Server};

use crate::calls::{TCP, connect, status};
use crate::echo::{self, ADD_ONE, ECHO, ECHO_DATA, Echo};

async fn start(builder: farcall::server::Builder) -> (Server, Client) {
    let server = builder.listen(TCP).start().await.expect("server starts");
    let client = connect(&server, Options::default()).await;
    (server, client)
}

#[tokio::test]
async fn nobody_calls_without_proof_unless_the_interface_says_so() {
    let echo = Echo::default();
    let (_server, client) = start(Server::builder().serve(echo::guarded(&echo))).await;
    let error = echo::add_one(&client, 1).await.expect_err("denied");
    assert_eq!(status(&error), 5);
    assert!(!error.may_have_executed());
    assert!(error.hints()[0].contains("authenticate"));

    let open = echo::guarded(&echo).allow_anonymous_for(&[ADD_ONE]);
    let (_server, client) = start(Server::builder().serve(open)).await;
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
    let error = echo::echo_data(&client, &[1]).await.expect_err("denied");
    assert_eq!(status(&error), 5);
    // What the interface has not is out of range, whoever asks.
    let error = echo::bare(&client, 999).await.expect_err("no operation");
    assert_eq!(status(&error), 0x1c01_0002);

    let builder = Server::builder()
        .serve(echo::guarded(&echo))
        .allow_anonymous();
    let (_server, client) = start(builder).await;
    assert_eq!(
        echo::echo_data(&client, &[1]).await.expect("echoed"),
        [1_u8][..]
    );
}

#[tokio::test]
async fn who_may_call_is_asked_for_each_call() {
    let ask = |call: &Call| match (call.interface(), call.opnum()) {
        (Some(interface), ECHO_DATA) if *interface == ECHO => Err(Refuse::Fault(5)),
        _ => Ok(()),
    };
    let echo = Echo::default();
    let builder = Server::builder().serve(echo::service(&echo)).authorize(ask);
    let (_server, client) = start(builder).await;
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
    for _ in 0..2 {
        let error = echo::echo_data(&client, &[1]).await.expect_err("denied");
        assert_eq!(status(&error), 5);
        assert!(!error.may_have_executed());
    }
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
}

#[tokio::test]
async fn middleware_stands_before_an_interface_too() {
    let echo = Echo::default();
    let layered = echo::service(&echo).layer(|inner| {
        tower::ServiceBuilder::new()
            .concurrency_limit(8)
            .service(inner)
    });
    let (_server, client) = start(Server::builder().serve(layered)).await;
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
    let error = echo::bare(&client, 99).await.expect_err("fault");
    assert_eq!(status(&error), 0x1c01_0002);
    assert_eq!(
        echo::echo_data(&client, &[7; 9000]).await.expect("echoed"),
        [7; 9000][..]
    );
}
