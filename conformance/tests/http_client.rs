//! Our client of RPC over HTTP through our proxy, to our server that speaks RPC over HTTP itself and, by bridge, to one of TCP: every way to prove oneself,
//! with and without TLS, recycling, refusals, cancelling, pipes, and an HTTP proxy on the way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use farcall::blocking;
use farcall::client::Options;
use farcall::client::http::{ChannelConfig, HttpCredentials, HttpOptions, HttpProxyUse};
use farcall::generated::rpcecho::rpcecho;
use farcall::pipe::Source;
use farcall::tls::{ClientSettings, ClientTls, Trust, Versions};
use farcall::{Cause, Error, Phase, Server};
use farcall_conformance::dce::{self, Way};
use farcall_conformance::echo::{self, source};
use farcall_conformance::interfaces::streams::streams;
use farcall_conformance::peer::http::{credentials, options, own};
use farcall_conformance::peer::samba::{USER, USER_PASSWORD};
use farcall_conformance::peer::{Scratch, farcall as command};
use farcall_conformance::streams::{Streams, byte, service, sum};
use farcall_dce::security::AuthLevel;
use farcall_proxy::Proxy;
use farcall_wire::ndr::WideStr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server and a proxy in front of it.
struct Site {
    _server: Server,
    _proxy: Proxy,
    /// Ports of the listeners: nobody, plain, TLS.
    at: [u16; 3],
    /// The server's own port of RPC over HTTP.
    own: u16,
    trust: ClientTls,
    _scratch: Scratch,
}

/// A proxy with a listener of each kind. `more` stands in its file before the rule that allows everything; the server lets in whom `mechanisms` prove,
/// or anybody.
async fn site(more: &str, proved: bool) -> Site {
    let scratch = Scratch::new("http-client").expect("a folder");
    let builder = Server::builder()
        .serve(echo::service())
        .serve(service(Streams::default()))
        .listen("ncacn_ip_tcp:127.0.0.1[0]")
        .listen("ncacn_http:127.0.0.1[0]");
    let builder = match proved {
        true => builder
            .authenticate_with(Arc::new(dce::ntlm()))
            .auth_floor(AuthLevel::CONNECT),
        false => builder.allow_anonymous(),
    };
    let server = builder.start().await.expect("a server");
    let ports: Vec<u16> = server
        .endpoints()
        .iter()
        .filter_map(farcall::Endpoint::port)
        .collect();
    let [tcp, http] = ports[..] else {
        panic!("{ports:?}")
    };
    let (proxy, at, trust) = proxy(&scratch, more, (tcp, http)).await;
    Site {
        _server: server,
        _proxy: proxy,
        at,
        own: http,
        trust,
        _scratch: scratch,
    }
}

async fn proxy(
    scratch: &Scratch,
    more: &str,
    (tcp, http): (u16, u16),
) -> (Proxy, [u16; 3], ClientTls) {
    let users = command::users(scratch).expect("a file of users");
    let passwords = scratch.file("passwords");
    let hash = bcrypt::hash(USER_PASSWORD, 4).expect("a hash");
    fs::write(&passwords, format!("{USER}:{hash}\n")).expect("written");
    fs::set_permissions(&passwords, fs::Permissions::from_mode(0o600)).expect("closed");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["rpc.example".to_owned()])
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    let (certificate_at, key_at) = (scratch.file("cert.pem"), scratch.file("key.pem"));
    fs::write(&certificate_at, certificate.pem()).expect("written");
    fs::write(&key_at, key.serialize_pem()).expect("written");
    let authentication = |binding: &str| {
        format!(
            "[listen.authentication.basic]\nusers = {passwords:?}\n[listen.authentication.ntlm]\nusers = {users:?}\nchannel-binding = \"{binding}\"\n\
             [listen.authentication.negotiate]\nchannel-binding = \"{binding}\"\n[listen.authentication.negotiate.ntlm]\nusers = {users:?}\n"
        )
    };
    let (open, bound) = (authentication("off"), authentication("require"));
    let audit = scratch.file("audit.log");
    let text = format!(
        "[audit]\nfile = {audit:?}\n\
         [[listen]]\nname = \"nobody\"\nendpoint = \"http://127.0.0.1:0\"\n[listen.authentication.anonymous]\nreason = \"a test\"\n\
         [[listen]]\nname = \"plain\"\nendpoint = \"http://127.0.0.1:0\"\n{open}\
         [[listen]]\nname = \"tls\"\nendpoint = \"https://127.0.0.1:0\"\n[listen.tls]\ncertificate = {certificate_at:?}\nkey = {key_at:?}\n{bound}\
         [[target]]\nname = \"bridge\"\nhosts = [\"bridged\"]\nports = [593]\nbridge = \"ncacn_ip_tcp:127.0.0.1[{tcp}]\"\n\
         [[target]]\nname = \"server\"\nhosts = [\"127.0.0.1\"]\nports = [{http}]\n\
         {more}[[rule]]\nname = \"everything\"\naction = \"allow\"\ntargets = [\"bridge\", \"server\"]\n"
    );
    let file = scratch.file("proxy.toml");
    fs::write(&file, text).expect("written");
    let proxy = match Proxy::start(&file).await {
        Ok(proxy) => proxy,
        Err(error) => panic!("{error}"),
    };
    let port = |url: &String| url.rsplit(':').next().and_then(|port| port.parse().ok());
    let at: Vec<u16> = proxy.endpoints().iter().filter_map(port).collect();
    let trust = ClientTls::new(ClientSettings {
        trust: Trust::Authorities(certificate_at.into()),
        versions: Versions::Tls12,
        ..ClientSettings::default()
    });
    let at: [u16; 3] = at.try_into().expect("three listeners");
    (proxy, at, trust.expect("an authority"))
}

impl Site {
    /// The server by this listener, over the bridge or by itself.
    fn binding(&self, listener: usize, bridge: bool) -> String {
        let server = match bridge {
            true => "bridged[593".to_owned(),
            false => format!("127.0.0.1[{}", self.own),
        };
        let secure = listener == 2;
        format!(
            "ncacn_http:{server},RpcProxy=127.0.0.1:{},HttpUseTls={secure},ServerCertificateSubject=msstd:rpc.example]",
            self.at[listener]
        )
    }

    fn options(&self, credentials: HttpCredentials) -> Options {
        options(HttpOptions {
            tls: Some(self.trust.clone()),
            credentials,
            ..HttpOptions::default()
        })
    }
}

async fn calls(client: &rpcecho::Client, large: u32) -> Result<(), Error> {
    assert_eq!(client.add_one(41).await?, 42);
    let data = source(large);
    assert_eq!(client.echo_data(large, &data).await?, data);
    client.sink_data(large, &data).await?;
    assert_eq!(client.source_data(large).await?, data);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_prove_oneself_leads_to_both_kinds_of_servers() {
    let site = site("", false).await;
    for bridge in [true, false] {
        let nobody = rpcecho::Client::connect_with(
            site.binding(0, bridge),
            site.options(HttpCredentials::Anonymous),
        );
        calls(&nobody.await.expect("nobody"), 120_000)
            .await
            .expect("calls");
        for (listener, way) in [
            (1, "basic"),
            (1, "ntlm"),
            (1, "negotiate"),
            (2, "basic"),
            (2, "ntlm"),
            (2, "negotiate"),
        ] {
            let connecting = rpcecho::Client::connect_with(
                site.binding(listener, bridge),
                site.options(own(way)),
            );
            let client = connecting
                .await
                .unwrap_or_else(|error| panic!("{listener} {way}: {error} {:?}", error.hints()));
            calls(&client, 120_000)
                .await
                .unwrap_or_else(|error| panic!("{listener} {way}: {error}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_proxy_refuses_is_told_with_its_reason() {
    let denied = "[[rule]]\nname = \"no SourceData\"\naction = \"deny\"\ninterfaces = [\"rpcecho\"]\noperations = [\"SourceData\"]\n";
    let site = site(denied, false).await;
    for way in ["basic", "ntlm", "negotiate"] {
        for listener in [1, 2] {
            let connecting = rpcecho::Client::connect_with(
                site.binding(listener, true),
                site.options(credentials(way, "wrong")),
            );
            let error = connecting.await.map(|_| ()).expect_err("a wrong password");
            assert_eq!(error.phase(), Phase::Authenticate, "{way}: {error}");
            assert!(
                !error.hints().is_empty() && !error.may_have_executed(),
                "{way}: {error}"
            );
        }
    }
    let connecting = rpcecho::Client::connect_with(
        site.binding(1, true),
        site.options(HttpCredentials::Anonymous),
    );
    let error = connecting.await.map(|_| ()).expect_err("nobody");
    assert!(
        error
            .to_string()
            .contains("it takes Negotiate, NTLM, Basic"),
        "{error}"
    );
    // Another target than any that is named.
    let other = site.binding(1, true).replace("bridged", "forbidden");
    let connecting = rpcecho::Client::connect_with(other, site.options(own("basic")));
    let error = connecting.await.map(|_| ()).expect_err("forbidden");
    assert!(matches!(error.cause(), Cause::Fault(5)), "{error}");
    assert!(
        error.hints()[0].contains("does not let this user through"),
        "{:?}",
        error.hints()
    );
    // An operation that is forbidden costs the call and not the connection.
    let connecting =
        rpcecho::Client::connect_with(site.binding(1, true), site.options(own("basic")));
    let client = connecting.await.expect("connects");
    let error = client.source_data(10).await.expect_err("forbidden");
    assert!(matches!(error.cause(), Cause::Fault(5)), "{error}");
    assert_eq!(client.add_one(1).await.expect("the connection lives"), 2);
    // A certificate for another name.
    let unnamed = site
        .binding(2, true)
        .replace("msstd:rpc.example", "other.example");
    let connecting = rpcecho::Client::connect_with(unnamed, site.options(own("basic")));
    let error = connecting.await.map(|_| ()).expect_err("another name");
    assert_eq!(error.phase(), Phase::Secure, "{error}");
    // TLS where none is spoken, and the other way round.
    let confused = site
        .binding(1, true)
        .replace("HttpUseTls=false", "HttpUseTls=true");
    let connecting = rpcecho::Client::connect_with(confused, site.options(own("basic")));
    assert_eq!(
        connecting.await.map(|_| ()).expect_err("no TLS").phase(),
        Phase::Secure
    );
    let confused = site
        .binding(2, true)
        .replace("HttpUseTls=true", "HttpUseTls=false");
    let connecting = rpcecho::Client::connect_with(confused, site.options(own("basic")));
    let error = connecting.await.map(|_| ()).expect_err("TLS");
    assert!(
        error.hints().iter().any(|hint| hint.contains("HttpUseTls")),
        "{error} {:?}",
        error.hints()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_of_128_kib_are_recycled_under_calls_that_go_on() {
    let more = "[limits]\nlifetime = \"128KiB\"\nwindow = \"32KiB\"\n";
    let site = site(more, false).await;
    for bridge in [true, false] {
        let mut options = site.options(own("basic"));
        options.http.channels = ChannelConfig {
            lifetime: 128 << 10,
            window: 32 << 10,
            ..ChannelConfig::default()
        };
        let client = rpcecho::Client::connect_with(site.binding(1, bridge), options)
            .await
            .expect("connects");
        let client = Arc::new(client);
        let several: Vec<_> = (0..4)
            .map(|_| {
                let client = Arc::clone(&client);
                tokio::spawn(async move {
                    for _ in 0..4 {
                        calls(&client, 50_000).await?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for calling in several {
            calling
                .await
                .expect("no panic")
                .unwrap_or_else(|error| panic!("bridge {bridge}: {error}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_association_over_http_is_one_like_any_other() {
    let site = site("", true).await;
    for level in [
        AuthLevel::CONNECT,
        AuthLevel::PKT,
        AuthLevel::INTEGRITY,
        AuthLevel::PRIVACY,
    ] {
        for way in [Way::Ntlm, Way::SpnegoNtlm] {
            for bridge in [true, false] {
                let options = Options {
                    credentials: way.options(level).credentials,
                    ..site.options(own("basic"))
                };
                let client = rpcecho::Client::connect_with(site.binding(2, bridge), options).await;
                let client = client.unwrap_or_else(|error| panic!("{level} {way:?}: {error}"));
                calls(&client, 20_000)
                    .await
                    .unwrap_or_else(|error| panic!("{level} {way:?}: {error}"));
            }
        }
    }
    let options = Options {
        credentials: Way::Ntlm.options(AuthLevel::PRIVACY).credentials,
        ..site.options(own("ntlm"))
    };
    // A call that is late is cancelled, and the next one is not.
    let client = rpcecho::Client::connect_with(site.binding(2, false), options.clone())
        .await
        .expect("connects");
    let error = client
        .test_sleep(30)
        .deadline(Duration::from_millis(200))
        .await
        .expect_err("late");
    assert!(
        matches!(error.cause(), Cause::Deadline(_)) && error.may_have_executed(),
        "{error}"
    );
    assert_eq!(client.add_one(1).await.expect("goes on"), 2);
    // Pipes, both ways, of more than all windows together.
    let client = streams::Client::connect_with(site.binding(2, false), options)
        .await
        .expect("connects");
    let data: Vec<u8> = (0..2_000_000).map(byte).collect();
    let chunks: Vec<Vec<u8>> = data.chunks(50_000).map(<[u8]>::to_vec).collect();
    let put = client
        .put(Source::chunks(chunks), &WideStr::from("x"))
        .await
        .expect("put");
    assert_eq!((put.sum, put.result), (sum(&data), 2_000_000));
    let mut get = client.get(2_000_000).await.expect("get");
    assert_eq!(get.pipe.collect().await.expect("bytes"), data);
}

/// An HTTP proxy that knows one name, and counts what came.
async fn http_proxy(name: &'static str, to: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(near.read_u8().await.ok()?);
                }
                let head = String::from_utf8(head).ok()?;
                assert!(
                    head.contains("\r\nProxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n"),
                    "{head}"
                );
                let mut far = TcpStream::connect(("127.0.0.1", to)).await.ok()?;
                match head.strip_prefix("CONNECT ") {
                    Some(rest) => {
                        assert!(rest.starts_with(name), "{head}");
                        near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                            .await
                            .ok()?;
                    }
                    None => {
                        assert!(
                            head.contains(&format!(" http://{name}/rpc/rpcproxy.dll?")),
                            "{head}"
                        );
                        far.write_all(head.replacen(&format!("http://{name}"), "", 1).as_bytes())
                            .await
                            .ok()?;
                    }
                }
                tokio::io::copy_bidirectional(&mut near, &mut far)
                    .await
                    .ok()
            });
        }
    });
    (port, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_proxy_is_used_where_it_is_needed_and_only_there() {
    let site = site("", false).await;
    for (listener, secure) in [(0, false), (2, true)] {
        let (port, count) = http_proxy("rpc.invalid", site.at[listener]).await;
        let with = |rpc_proxy: &str, usage| {
            let binding = format!(
                "ncacn_http:bridged[593,RpcProxy={rpc_proxy},HttpProxy=127.0.0.1:{port},HttpUseTls={secure},ServerCertificateSubject=rpc.example]"
            );
            let credentials = if secure {
                own("ntlm")
            } else {
                HttpCredentials::Anonymous
            };
            let mut options = site.options(credentials);
            options.http.http_proxy_use = usage;
            options.http.http_proxy_login =
                Some(farcall::client::http::Login::new("alice", "secret"));
            rpcecho::Client::connect_with(binding, options)
        };
        // A name that only the HTTP proxy knows.
        for usage in [HttpProxyUse::IfNeeded, HttpProxyUse::Always] {
            let client = with("rpc.invalid", usage).await;
            let client = client
                .unwrap_or_else(|error| panic!("{secure} {usage:?}: {error} {:?}", error.hints()));
            calls(&client, 50_000).await.expect("calls");
        }
        // Two channels each time, and an echo to find out.
        assert_eq!(count.swap(0, Ordering::SeqCst), 5, "secure {secure}");
        // Reached directly, it is not used beyond the question.
        let direct = format!("127.0.0.1:{}", site.at[listener]);
        let client = with(&direct, HttpProxyUse::IfNeeded)
            .await
            .expect("directly");
        calls(&client, 50_000).await.expect("calls");
        assert!(count.load(Ordering::SeqCst) <= 1, "secure {secure}");
    }
}

/// Runs what blocks on a thread that may.
async fn aside<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(call).await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_block_reach_both_kinds_of_servers() {
    let denied = "[limits]\nlifetime = \"128KiB\"\nwindow = \"32KiB\"\n\
                  [[rule]]\nname = \"no SourceData\"\naction = \"deny\"\ninterfaces = [\"rpcecho\"]\noperations = [\"SourceData\"]\n";
    let site = site(denied, false).await;
    for (listener, bridge, way) in [(0, true, ""), (1, false, "basic"), (2, true, "ntlm")] {
        let (binding, mut options) = (site.binding(listener, bridge), site.options(own(way)));
        options.http.channels.lifetime = 128 << 10;
        let connecting = move || {
            blocking::Client::connect_interface_with(binding, &rpcecho::INTERFACE, options)
                .map(rpcecho::BlockingClient::from)
        };
        let client = aside(connecting).await;
        let client = client.unwrap_or_else(|error| panic!("{way}: {error}"));
        let called = aside(move || {
            // More than the lifetime of a channel.
            for _ in 0..3 {
                let data = source(100_000);
                assert_eq!(client.echo_data(100_000, &data)?, data);
                assert_eq!(client.add_one(41)?, 42);
            }
            let error = client.source_data(10).expect_err("forbidden");
            assert!(matches!(error.cause(), Cause::Fault(5)), "{error}");
            client.add_one(1)
        });
        assert_eq!(called.await.expect("called"), 2, "{way}");
    }
    for (way, listener, phase) in [
        ("basic", 1, Phase::Authenticate),
        ("ntlm", 2, Phase::Authenticate),
        ("", 1, Phase::Authenticate),
    ] {
        let (binding, options) = (
            site.binding(listener, true),
            site.options(credentials(way, "wrong")),
        );
        let connecting = move || {
            blocking::Client::connect_interface_with(binding, &rpcecho::INTERFACE, options)
                .map(rpcecho::BlockingClient::from)
        };
        let error = aside(connecting).await.map(drop).expect_err("refused");
        assert_eq!(error.phase(), phase, "{error}");
        assert!(
            !error.may_have_executed() && !error.hints().is_empty(),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_blocks_is_told_why_its_connection_ended() {
    let site = site("", false).await;
    let (binding, options) = (site.binding(0, true), site.options(own("")));
    let client = aside(move || {
        let client =
            blocking::Client::connect_interface_with(binding, &rpcecho::INTERFACE, options)
                .map(rpcecho::BlockingClient::from)?;
        client.add_one(1).map(|_| client)
    });
    let client = client.await.expect("called");
    site._proxy.drain(Some(Duration::ZERO)).await;
    let error = aside(move || client.add_one(1)).await;
    let error = error.expect_err("the proxy is gone");
    // By the proxy's own word, or by the loss of a channel, whichever came first; a socket's end alone would say neither.
    let said = error.to_string();
    assert!(
        said.contains("RPC proxy") || said.contains("channel"),
        "{said}"
    );
}
