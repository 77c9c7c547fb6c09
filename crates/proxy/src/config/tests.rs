//! Tests of reading `proxy.toml`.

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    match Config::parse(Path::new("proxy.toml"), text) {
        Ok((config, _)) => Ok(config),
        Err(faults) => Err(faults.to_string()),
    }
}

fn refused(text: &str) -> String {
    parse(text).expect_err("a fault")
}

#[test]
fn nothing_is_a_configuration_that_reaches_nothing() {
    let config = parse("").expect("an empty file");
    assert!(config.listeners.is_empty() && config.targets.is_empty() && config.rules.is_empty());
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.limits.header, Duration::from_secs(10));
    assert_eq!(config.policy.deny_pack, Switch::On);
    assert_eq!(config.policy.mode, Mode::Enforce);
    assert!(config.metrics.is_none() && config.tap.is_none());
}

#[test]
fn a_listener_has_its_keys() {
    let config = parse(
        r#"
        [[listen]]
        name = "internet"
        endpoint = "https://0.0.0.0:443"
        [listen.tls]
        certificate = "c.pem"
        key = "k.pem"
        minimum = "1.3"
        client-certificates = "optional"
        client-ca = "ca.pem"
        sni = [{ names = ["a.example"], certificate = "a.pem", key = "a.key" }]
        [listen.authentication]
        basic = { users = "passwords" }
        negotiate = { ntlm = { users = "users" }, keytab = "krb5.keytab" }
        certificate = {}
        bearer = { keys = "jwks.json", issuer = "https://idp.example", audience = "rpc" }
        [listen.front]
        trusted = ["10.0.0.0/24"]
        proxy-protocol = true
        "#,
    )
    .expect("a listener");
    let [listener] = &config.listeners[..] else {
        panic!("one listener");
    };
    assert!(listener.endpoint.get_ref().tls);
    let tls = listener.tls.as_ref().expect("TLS");
    assert_eq!(tls.minimum, listen::TlsVersion::V13);
    assert_eq!(tls.sni.len(), 1);
    let negotiate = listener.authentication.negotiate.as_ref().expect("on");
    assert_eq!(negotiate.channel_binding, ChannelBinding::Require);
    let bearer = listener.authentication.bearer.as_ref().expect("on");
    assert_eq!(
        (bearer.skew.as_secs(), bearer.name_claim.as_str()),
        (60, "sub")
    );
    assert!(listener.front.as_ref().expect("fronts").proxy_protocol);
}

#[test]
fn faults_name_line_key_and_what_would_be_right() {
    for (text, expected) in [
        (
            "[limits]\nheader = \"10\"\n",
            "proxy.toml:2:10: limits.header: \"10\" is no duration, expected a number and ms, s, m, h or d, such as \"10s\"",
        ),
        (
            "[limits]\nheader = \"0s\"\n",
            "proxy.toml:2:10: limits.header: a duration of 0, expected a longer one",
        ),
        (
            "[limits]\nheder = \"10s\"\n",
            "proxy.toml:2:1: limits.heder: unknown field `heder`, expected one of `header`",
        ),
        ("[[targt]]\nname = \"x\"\n", "(hint: did you mean target?)"),
        ("[limits]\ndrian = \"30s\"\n", "(hint: did you mean drain?)"),
        (
            "[[rule]]\nname = \"x\"\naction = \"alow\"\n",
            "(hint: did you mean allow?)",
        ),
        (
            "[[rule]]\nname = \"x\"\naction = \"permit\"\n",
            "proxy.toml:3:10: rule \"x\".action: unknown variant `permit`, expected `allow` or `deny`",
        ),
        (
            "[[listen]]\nname = \"a\"\nendpoint = \"https://x\"\n",
            "proxy.toml:3:12: listen \"a\".endpoint: \"https://x\" is no endpoint",
        ),
        (
            "[[rule]]\nsources = [\n  \"10.0.0.0/8\",\n  \"10.0.0.1/8\",\n]\n",
            "proxy.toml:4:3: rule[1].sources: \"10.0.0.1/8\" is no network: it has bits beyond its first 8, expected \"10.0.0.0/8\"",
        ),
        (
            "[[listen]]\nname = \"a\"\nendpoint = \"http://127.0.0.1:80\"\nauthentication.anonymous = { reason = \" \" }\n",
            "an empty reason",
        ),
        (
            "[[target]]\nname = \"a\"\nports = [0]\n",
            "\"0\" are no ports",
        ),
        ("[[target]]\nname = \"a\"\n", "missing field `hosts`"),
        ("x", "proxy.toml:1:2: "),
        ("[limits]\nheader = 1.5", "a duration such as \"10s\""),
    ] {
        let error = refused(text);
        assert!(error.contains(expected), "{text:?}\n  gave {error}");
    }
}

#[test]
fn an_anonymous_listener_must_say_why() {
    let listen = "[[listen]]\nname = \"a\"\nendpoint = \"http://127.0.0.1:80\"\n";
    let error = refused(&format!("{listen}authentication.anonymous = {{}}\n"));
    assert!(error.contains("missing field `reason`"), "{error}");
    assert!(
        parse(&format!(
            "{listen}authentication.anonymous = {{ reason = \"a test\" }}\n"
        ))
        .is_ok()
    );
}

#[test]
fn operations_are_texts_or_numbers() {
    let config = parse("[[rule]]\nname = \"x\"\noperations = [3, \"0-5\", \"samr.SamrConnect\"]\n")
        .expect("a rule");
    let named: Vec<&str> = config.rules[0]
        .operations
        .iter()
        .map(|it| it.get_ref().0.as_str())
        .collect();
    assert_eq!(named, ["3", "0-5", "samr.SamrConnect"]);
}

#[test]
fn a_file_that_is_not_there_is_a_fault_of_its_own() {
    let faults = Config::load(Path::new("/no/such/proxy.toml")).expect_err("no file");
    assert!(
        faults
            .to_string()
            .starts_with("/no/such/proxy.toml: No such file")
    );
}
