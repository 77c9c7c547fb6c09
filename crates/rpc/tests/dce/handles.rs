//! Context handles: whom they are good for, and when their state ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use farcall::{Client, Limits, Server};
use farcall_wire::ndr::ContextHandle;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::calls::{TCP, status};
use crate::counter::{self, COUNTER, Counters};

async fn serve(counters: &Counters, limits: Limits) -> Server {
    let server = Server::builder()
        .serve(counter::service(counters))
        .limits(limits)
        .listen(TCP);
    server.start().await.expect("server starts")
}

async fn connect(server: &Server) -> Client {
    let client = Client::connect_interface(&server.endpoints()[0], &COUNTER).await;
    client.expect("connects")
}

async fn until_open(counters: &Counters, count: usize) {
    let waiting = async {
        while counters.open.load(Ordering::SeqCst) != count {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    waited.expect("counters are open");
}

#[tokio::test]
async fn a_handle_is_good_over_every_connection_of_its_group_and_ends_with_the_last() {
    let counters = Counters::default();
    let server = serve(&counters, Limits::default()).await;
    let first = connect(&server).await;
    let handle = counter::open(&first).await.expect("opened");
    assert_eq!(counter::add(&first, handle).await.expect("added"), 1);
    let second = first
        .connect_again(&COUNTER)
        .await
        .expect("joins the group");
    assert_eq!(counter::add(&second, handle).await.expect("added"), 2);
    drop(first);
    assert_eq!(counter::add(&second, handle).await.expect("added"), 3);
    drop(second);
    until_open(&counters, 0).await;
}

#[tokio::test]
async fn a_stranger_cannot_use_a_handle() {
    let counters = Counters::default();
    let server = serve(&counters, Limits::default()).await;
    let (first, stranger) = (connect(&server).await, connect(&server).await);
    let handle = counter::open(&first).await.expect("opened");
    for wrong in [
        counter::add(&stranger, handle).await,
        counter::add(&first, ContextHandle::NULL).await,
    ] {
        assert_eq!(status(&wrong.expect_err("refused")), 0x1c00_001a);
    }
    let other = counter::open_other(&first).await.expect("opened");
    let wrong = counter::add(&first, other).await.expect_err("another type");
    assert_eq!(status(&wrong), 0x1c00_001a);
    assert!(
        counter::close(&first, handle)
            .await
            .expect("closed")
            .is_null()
    );
    until_open(&counters, 0).await;
    let closed = counter::add(&first, handle).await.expect_err("closed");
    assert_eq!(status(&closed), 0x1c00_001a);
}

#[tokio::test]
async fn calls_on_one_handle_wait_for_each_other() {
    let server = serve(&Counters::default(), Limits::default()).await;
    let client = connect(&server).await;
    let second = client
        .connect_again(&COUNTER)
        .await
        .expect("joins the group");
    let handle = counter::open(&client).await.expect("opened");
    let calls: Vec<_> = (0..50)
        .map(|n| {
            tokio::spawn(counter::add(
                if n % 2 == 0 { &client } else { &second },
                handle,
            ))
        })
        .collect();
    let mut values = Vec::new();
    for call in calls {
        values.push(call.await.expect("no panic").expect("added"));
    }
    values.sort_unstable();
    assert_eq!(values, (1..=50).collect::<Vec<_>>(), "no increment is lost");
}

#[tokio::test]
async fn a_silent_connection_whose_client_holds_handles_has_a_time_of_its_own() {
    let limits = |idle_held| Limits {
        idle: Duration::from_millis(100),
        idle_held,
        ..Limits::default()
    };
    let counters = Counters::default();
    let server = serve(&counters, limits(Duration::ZERO)).await;
    let client = connect(&server).await;
    let handle = counter::open(&client).await.expect("opened");
    // One that came later and holds nothing is cut.
    let port = server.endpoints()[0].port().expect("a port");
    let stranger = TcpStream::connect(("127.0.0.1", port)).await;
    let cut = stranger.expect("connects").read(&mut [0; 1]).await;
    assert_eq!(cut.expect("closed"), 0);
    assert_eq!(counter::add(&client, handle).await.expect("added"), 1);
    let counters = Counters::default();
    let server = serve(&counters, limits(Duration::from_millis(100))).await;
    let client = connect(&server).await;
    counter::open(&client).await.expect("opened");
    until_open(&counters, 0).await;
}

#[tokio::test]
async fn a_client_has_no_more_handles_than_the_limit() {
    let limits = Limits {
        handles: 3,
        ..Limits::default()
    };
    let counters = Counters::default();
    let server = serve(&counters, limits).await;
    let client = connect(&server).await;
    for _ in 0..3 {
        counter::open(&client).await.expect("opened");
    }
    let error = counter::open(&client).await.expect_err("one too many");
    assert_eq!(status(&error), 0x1c00_001b);
    until_open(&counters, 3).await;
}
