//! A server and two clients of an interface of DCE/RPC, with a context handle.

mod echo {
    include!(concat!(env!("OUT_DIR"), "/echo.rs"));
}

use std::time::Duration;

use echo::echoes::{self, Client, CloseOut, EchoOut, OpenOut};
use echo::{Echoed, Visit};
use farcall::{Call, Error, Refuse, Server};
use farcall_wire::ndr::WideStr;

/// What is behind a context handle: how many texts came.
struct Texts(u32);

struct Echo;

impl echoes::Server for Echo {
    async fn open(&self, call: &Call) -> Result<OpenOut, Refuse> {
        let here = Visit(call.open(Texts(0))?);
        Ok(OpenOut { here, result: 0 })
    }

    async fn echo(&self, call: &Call, here: Visit, text: WideStr) -> Result<EchoOut, Refuse> {
        let mut texts = call.held::<Texts>(&here.0).await?;
        texts.0 += 1;
        let back = Echoed {
            text: Some(text),
            count: texts.0,
        };
        Ok(EchoOut { back, result: 0 })
    }

    async fn close(&self, call: &Call, here: Visit) -> Result<CloseOut, Refuse> {
        let here = Visit(call.close(&here.0)?);
        Ok(CloseOut { here, result: 0 })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let server = Server::builder()
        // Whoever calls is nobody in particular here.
        .serve(echoes::service(Echo).allow_anonymous())
        .listen("ncacn_ip_tcp:127.0.0.1[0]")
        .listen(format!("ncalrpc:[echo-{}]", std::process::id()))
        .start()
        .await?;
    for endpoint in server.endpoints() {
        let client = Client::connect(endpoint).await?;
        let here = client.open().await?.here;
        for text in ["hello", "again"] {
            let call = client.echo(here, &WideStr::from(text));
            let back = call.deadline(Duration::from_secs(2)).await?.back;
            println!(
                "{endpoint} gives {:?} back, number {}",
                back.text, back.count
            );
        }
        client.close(here).await?;
    }
    server.drain(Duration::from_secs(1)).await;
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("all calls are answered");
}
