//! Tests of string bindings: read, written, refused.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> StringBinding {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_parts_are_found() {
    for (text, protseq, address, endpoint) in [
        ("ncacn_ip_tcp:files[135]", Protseq::Tcp, "files", "135"),
        ("ncacn_ip_tcp:files", Protseq::Tcp, "files", ""),
        ("ncacn_ip_tcp:", Protseq::Tcp, "", ""),
        ("NCACN_IP_TCP:10.0.0.1[]", Protseq::Tcp, "10.0.0.1", ""),
        ("ncacn_ip_tcp:[135]", Protseq::Tcp, "", "135"),
        ("ncacn_ip_tcp:[::1]", Protseq::Tcp, "::1", ""),
        (
            "ncacn_ip_tcp:[fe80::1%eth0][9]",
            Protseq::Tcp,
            "fe80::1%eth0",
            "9",
        ),
        ("ncacn_ip_tcp:::1[9]", Protseq::Tcp, "::1", "9"),
        (
            r"ncacn_np:\\server[\pipe\lsass]",
            Protseq::Pipe,
            r"\server",
            r"\pipe\lsass",
        ),
        (
            r"ncacn_np:\\\\server[\\pipe\\lsass]",
            Protseq::Pipe,
            r"\\server",
            r"\pipe\lsass",
        ),
        ("ncalrpc:[epmapper]", Protseq::Local, "", "epmapper"),
        ("ncalrpc:", Protseq::Local, "", ""),
        ("ncadg_ip_udp:h[endpoint=99]", Protseq::Udp, "h", "99"),
        (r"ncalrpc:[a\,b\]c]", Protseq::Local, "", "a,b]c"),
    ] {
        let binding = read(text);
        assert_eq!(binding.protseq, protseq, "{text}");
        assert_eq!(
            (binding.address.as_str(), binding.endpoint.as_str()),
            (address, endpoint),
            "{text}"
        );
        assert_eq!(read(&binding.to_string()), binding, "{text} as {binding}");
    }
}

#[test]
fn objects_and_options_of_both_kinds() {
    let text = "308fb580-1eb2-11ca-923b-08002b1075a7@ncacn_http:server[6001,RpcProxy=proxy:443,HttpUseTls]";
    let binding = read(text);
    assert_eq!(
        binding.object.unwrap().to_string(),
        "308fb580-1eb2-11ca-923b-08002b1075a7"
    );
    assert_eq!(binding.port(), Some(6001));
    assert_eq!(binding.option("rpcproxy"), Some("proxy:443"));
    assert_eq!(binding.option("HTTPUSETLS"), Some(""));
    assert_eq!(binding.option("sign"), None);
    assert_eq!(read(&binding.to_string()), binding);
    let samba = read("ncacn_ip_tcp:127.0.0.1[34567,ndr64,sign]");
    assert_eq!(samba.options.len(), 2);
    assert_eq!(
        samba.to_string(),
        "ncacn_ip_tcp:127.0.0.1[34567,ndr64,sign]"
    );
    let mail = read("ncacn_http:s[6001,HttpAuth=user@host]");
    assert_eq!(
        (mail.object, mail.option("HttpAuth")),
        (None, Some("user@host"))
    );
}

#[test]
fn what_is_no_string_binding_says_why() {
    let long = format!("ncalrpc:[{}]", "x".repeat(MAX_LEN));
    for (text, error) in [
        ("", BindingError::NoProtseq),
        ("localhost", BindingError::NoProtseq),
        ("tcp:host", BindingError::UnknownProtseq("tcp".into())),
        ("x@ncacn_ip_tcp:host", BindingError::BadObject("x".into())),
        ("ncacn_ip_tcp:host[135", BindingError::Unbalanced),
        ("ncacn_ip_tcp:host135]", BindingError::Unbalanced),
        ("ncacn_ip_tcp:[::1", BindingError::Unbalanced),
        (
            "ncacn_ip_tcp:host[135]x",
            BindingError::Trailing("x".into()),
        ),
        (
            "ncacn_ip_tcp:host[70000]",
            BindingError::BadPort("70000".into()),
        ),
        (
            "ncacn_ip_tcp:host[epmapper]",
            BindingError::BadPort("epmapper".into()),
        ),
        ("ncacn_ip_tcp:h[1,endpoint=2]", BindingError::TwoEndpoints),
        ("ncacn_ip_tcp:h[1,=2]", BindingError::NamelessOption),
        ("ncacn_ip_tcp:h[1,]", BindingError::NamelessOption),
        (&long, BindingError::TooLong),
    ] {
        assert_eq!(text.parse::<StringBinding>(), Err(error), "{text}");
    }
}

fn word() -> impl Strategy<Value = String> {
    r"[a-z0-9@:,=\\.\-\[\]]{0,12}"
}

proptest! {
    #[test]
    fn what_is_composed_is_read_alike(
        address in r"[a-z0-9@,=\\.\-\[\]]{0,12}", endpoint in word(), name in r"[a-z@:,=\\\[\]]{1,8}", value in proptest::option::of(word()),
    ) {
        prop_assume!(!name.eq_ignore_ascii_case("endpoint"));
        let binding = StringBinding {
            object: Some(Uuid::NIL),
            options: vec![BindingOption { name, value }],
            ..StringBinding::new(Protseq::Local, address).with_endpoint(endpoint)
        };
        prop_assert_eq!(binding.to_string().parse(), Ok(binding.clone()), "{}", binding);
    }

    #[test]
    fn no_text_is_too_much(text in r"(ncalrpc:|ncacn_ip_tcp:)?[\[\]@:,=\\a-f0-9-]{0,40}") {
        if let Ok(binding) = text.parse::<StringBinding>() {
            prop_assert_eq!(binding.to_string().parse(), Ok(binding.clone()), "{}", binding);
        }
    }
}
