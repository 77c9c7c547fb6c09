//! A server made of an `.idl` file and answers in JSON, called by a generated client.

use std::path::Path;

use farcall::generated::rpcecho::rpcecho::Client;
use farcall::testkit::Fake;
use farcall::{Options, Refuse, Server};
use serde_json::json;

use crate::calls::{TCP, status};

#[tokio::test]
async fn a_fake_of_an_interface_answers_what_it_is_told() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../idl/rpcecho.idl");
    let fake = Fake::from_file(file)
        .expect("an interface file")
        .answer_with("AddOne", |arguments| {
            let number = arguments["in_data"].as_u64().unwrap_or(0);
            Ok(json!({ "out_data": number + 1 }))
        })
        .refuse("TestSleep", Refuse::Fault(0x1c01_0014));
    let builder = Server::builder().listen(TCP);
    let builder = fake.services().into_iter().fold(builder, |b, s| b.serve(s));
    let server = builder.start().await.expect("server starts");
    for ndr64 in [false, true] {
        let options = Options {
            ndr64,
            ..Options::default()
        };
        let client = Client::connect_with(&server.endpoints()[0], options).await;
        let client = client.expect("connects");
        assert_eq!(client.add_one(41).await.expect("answered"), 42);
        let error = client.test_sleep(1).await.expect_err("refused");
        assert_eq!(status(&error), 0x1c01_0014);
        let error = client.sink_data(1, &vec![0]).await.expect_err("no answer");
        assert_eq!(status(&error), 0x1c01_0002);
    }
    assert_eq!(
        fake.calls()[0],
        ("AddOne".to_owned(), json!({ "in_data": 41 }))
    );
}
