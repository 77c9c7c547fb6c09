//! Calls of operations, from our client to our server.

use std::time::Duration;

use farcall::{Client, Options, Server};

use crate::echo::{self, ECHO, Echo};

async fn serve(echo: &Echo, endpoint: &str) -> Server {
    let server = Server::builder()
        .serve(echo::service(echo))
        .listen(endpoint);
    server.start().await.expect("server starts")
}

async fn connect(server: &Server, options: Options) -> Client {
    let endpoint = &server.endpoints()[0];
    let client = Client::connect_interface_with(endpoint, &ECHO, options).await;
    client.expect("connects")
}

#[tokio::test]
async fn calls_are_answered_over_tcp_in_both_syntaxes_and_byte_orders() {
    let server = serve(&Echo::default(), "ncacn_ip_tcp:127.0.0.1[0]").await;
    for (ndr64, big_endian) in [(false, false), (true, false), (false, true)] {
        let options = Options {
            ndr64,
            big_endian,
            ..Options::default()
        };
        let client = connect(&server, options).await;
        assert_eq!(echo::add_one(&client, 41).await.expect("added"), 42);
        for len in [0, 1, 5000, 200_000] {
            let data = vec![7; len];
            assert_eq!(echo::echo_data(&client, &data).await.expect("echoed"), data);
        }
    }
    server.drain(Duration::from_secs(1)).await;
}
