//! Authentication of a connection, each kind with what is right and what is wrong.

use super::*;
use crate::config;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use farcall_security::Credentials;
use farcall_security::Users;

const BCRYPT: &str = "$2a$04$VYAclAMpaXY/oqAo9yUpkuWmoYywaPzyhu56HxXpVltnBIfmO9tgu";
const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// A folder with `passwords` (alice, `<.S.2K(Zq'`) and `users` (`DOM\bob`, `secret`, of `staff`).
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("passwords");
    std::fs::write(&path, format!("alice:{BCRYPT}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("closed");
    let mut users = Users::default();
    let password = Password::new("secret".to_owned());
    users
        .add("bob", "DOM", &password, &["staff".to_owned()])
        .expect("added");
    users.save(&users_file(folder.path())).expect("written");
    folder
}

fn users_file(folder: &Path) -> PathBuf {
    folder.join("users")
}

fn all(folder: &Path) -> String {
    format!(
        "[basic]\nusers = {:?}\n[ntlm]\nusers = {:?}\nchannel-binding = \"off\"\n[negotiate]\nchannel-binding = \"off\"\n[negotiate.ntlm]\nusers = {:?}\n",
        folder.join("passwords"),
        users_file(folder),
        users_file(folder)
    )
}

fn authenticator(text: &str) -> Arc<Authenticator> {
    let settings: Authentication = toml::from_str(text).expect("a configuration");
    let lockout = Lockout::new(&config::Lockout::default());
    Arc::new(Authenticator::new(&settings, lockout).expect("set up"))
}

fn session(shared: &Arc<Authenticator>) -> Session {
    Session::new(Arc::clone(shared), SOURCE, Vec::new(), None)
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("a value")
}

fn basic(user: &str, password: &str) -> HeaderValue {
    value(&format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    ))
}

/// The challenges of a 401, or who it is.
fn told(verdict: Verdict) -> Result<String, Vec<String>> {
    match verdict {
        Verdict::Known { identity, .. } => Ok(identity.to_string()),
        Verdict::Ask { challenges, .. } => Err(challenges
            .iter()
            .map(|one| one.to_str().expect("text").to_owned())
            .collect()),
    }
}

#[tokio::test]
async fn a_wrong_password_an_unknown_user_and_nonsense_are_answered_alike() {
    let folder = folder();
    let shared = authenticator(&all(folder.path()));
    let offers = Err(vec![
        "Negotiate".to_owned(),
        "NTLM".to_owned(),
        "Basic realm=\"RPC\", charset=\"UTF-8\"".to_owned(),
    ]);
    let mut session = session(&shared);
    assert_eq!(told(session.judge(None).await), offers);
    for wrong in [
        basic("alice", "wrong"),
        basic("nobody", "wrong"),
        basic("", ""),
        value("Basic"),
        value("Basic !"),
        value("Digest x"),
        value("Bearer x"),
        value("NTLM"),
        value("NTLM !"),
        value("NTLM TlRMTVNTUAA="),
        value("Negotiate AAAA"),
    ] {
        assert_eq!(told(session.judge(Some(&wrong)).await), offers, "{wrong:?}");
    }
    assert_eq!(
        told(session.judge(Some(&basic("ALICE", "<.S.2K(Zq'"))).await).as_deref(),
        Ok("alice")
    );
    assert_eq!(
        told(session.judge(None).await).as_deref(),
        Ok("alice"),
        "it stays with the connection"
    );
    assert_eq!(
        told(session.judge(Some(&basic("alice", "wrong"))).await),
        offers
    );
    assert_eq!(
        told(session.judge(None).await),
        offers,
        "who was wrong is nobody again"
    );
}

/// Runs an exchange of NTLM or Negotiate: its outcome, and how many requests it took.
async fn log_in(
    session: &mut Session,
    scheme: &str,
    credentials: &Credentials,
) -> (Verdict, usize) {
    let mut handshake = credentials
        .begin("HTTP/h.test", false, false)
        .expect("begun");
    let mut progress = handshake.step(b"").expect("a token");
    for leg in 1.. {
        let token = match &progress {
            Progress::Continue(token) => token.clone(),
            Progress::Done { token, .. } => token.clone().expect("a last token"),
            Progress::Need(_) => panic!("a client asks nothing"),
        };
        let sent = value(&format!("{scheme} {}", STANDARD.encode(token)));
        let verdict = session.judge(Some(&sent)).await;
        let Verdict::Ask {
            challenges,
            failed: None,
        } = &verdict
        else {
            return (verdict, leg);
        };
        let [challenge] = challenges.as_slice() else {
            return (verdict, leg);
        };
        let text = challenge.to_str().expect("text");
        let token = text.strip_prefix(scheme).expect("the scheme").trim();
        progress = handshake
            .step(&STANDARD.decode(token).expect("base64"))
            .expect("a token");
    }
    unreachable!()
}

fn bob(password: &str) -> Credentials {
    Credentials::ntlm("bob", "DOM", &Password::new(password.to_owned()))
}

#[tokio::test]
async fn ntlm_proves_a_connection_with_its_groups() {
    let folder = folder();
    let shared = authenticator(&all(folder.path()));
    let mut session = session(&shared);
    let (verdict, legs) = log_in(&mut session, "NTLM", &bob("secret")).await;
    let Verdict::Known {
        identity, fresh, ..
    } = verdict
    else {
        panic!("{verdict:?}");
    };
    assert_eq!((legs, fresh), (2, true));
    assert_eq!(identity.to_string(), "DOM\\bob");
    assert_eq!(identity.kind, AuthKind::Ntlm);
    assert_eq!(identity.groups, ["staff"]);
    let Verdict::Known { fresh: false, .. } = session.judge(None).await else {
        panic!("it stays with the connection");
    };
    session.at(IpAddr::from([192, 0, 2, 2]));
    assert!(
        told(session.judge(None).await).is_err(),
        "and not with another source's requests"
    );
}

#[tokio::test]
async fn a_wrong_password_of_ntlm_proves_nothing() {
    let folder = folder();
    let shared = authenticator(&all(folder.path()));
    let mut session = session(&shared);
    let (verdict, _) = log_in(&mut session, "NTLM", &bob("wrong")).await;
    let Verdict::Ask {
        challenges,
        failed: Some(failed),
    } = verdict
    else {
        panic!("{verdict:?}");
    };
    assert_eq!(challenges, shared.offers());
    assert_eq!(failed.claimed.as_deref(), Some("DOM\\bob"));
    assert!(told(session.judge(None).await).is_err());
}

#[tokio::test]
async fn negotiate_takes_ntlm_inside_and_bare() {
    let folder = folder();
    let shared = authenticator(&all(folder.path()));
    let config = || {
        farcall_security::ntlm::ClientConfig::new("bob", "DOM", &Password::new("secret".to_owned()))
    };
    let spnego = Credentials::spnego().or_ntlm(config());
    let (verdict, _) = log_in(&mut session(&shared), "Negotiate", &spnego).await;
    let Verdict::Known {
        token: Some(token), ..
    } = &verdict
    else {
        panic!("{verdict:?}");
    };
    assert!(
        token.to_str().expect("text").starts_with("Negotiate "),
        "what proves the server goes along"
    );
    let (verdict, _) = log_in(&mut session(&shared), "Negotiate", &bob("secret")).await;
    assert_eq!(told(verdict).as_deref(), Ok("DOM\\bob"));
}

#[tokio::test]
async fn ntlm_is_bound_to_the_channel_it_came_over() {
    let folder = folder();
    let text = format!("[ntlm]\nusers = {:?}\n", users_file(folder.path()));
    let shared = authenticator(&text);
    let own = ChannelBindings::tls_server_end_point(&[1; 32]);
    let other = ChannelBindings::tls_server_end_point(&[2; 32]);
    let over = |bindings: &[ChannelBindings]| {
        Session::new(Arc::clone(&shared), SOURCE, bindings.to_vec(), None)
    };
    let with = |bindings: &ChannelBindings| bob("secret").with_bindings(bindings.clone());
    let one = std::slice::from_ref(&own);
    assert!(told(log_in(&mut over(one), "NTLM", &with(&own)).await.0).is_ok());
    assert!(
        told(log_in(&mut over(one), "NTLM", &with(&other)).await.0).is_err(),
        "relayed from another channel"
    );
    assert!(
        told(log_in(&mut over(one), "NTLM", &bob("secret")).await.0).is_err(),
        "none is named"
    );
    assert!(
        told(over(&[]).judge(Some(&value("NTLM TlRMTVNTUAABAAAA"))).await).is_err(),
        "without TLS"
    );
}

#[tokio::test]
async fn who_is_locked_out_is_refused_with_the_right_password_and_the_same_answer() {
    let folder = folder();
    let shared = authenticator(&all(folder.path()));
    let offers = shared.offers().to_vec();
    for _ in 0..config::Lockout::default().per_account {
        let (verdict, _) = log_in(&mut session(&shared), "NTLM", &bob("wrong")).await;
        assert!(told(verdict).is_err());
    }
    let (verdict, _) = log_in(&mut session(&shared), "NTLM", &bob("secret")).await;
    let Verdict::Ask {
        challenges,
        failed: Some(failed),
    } = verdict
    else {
        panic!("{verdict:?}");
    };
    assert_eq!(challenges, offers);
    assert!(failed.reason.contains("account"), "{}", failed.reason);
}

#[tokio::test]
async fn anonymous_is_nobody_only_where_it_is_written() {
    let shared = authenticator("[anonymous]\nreason = \"a laboratory\"\n");
    assert_eq!(
        told(session(&shared).judge(None).await).as_deref(),
        Ok("anonymous")
    );
    // What Samba sends for nobody.
    assert_eq!(
        told(
            session(&shared)
                .judge(Some(&value("Basic XDoobnVsbCk=")))
                .await
        )
        .as_deref(),
        Ok("anonymous")
    );
    let nothing = authenticator("");
    assert_eq!(told(session(&nothing).judge(None).await), Err(vec![]));
}

#[tokio::test]
async fn a_certificate_is_its_owner_where_that_is_written() {
    let mut certificate = Certificate::default();
    certificate.subject = "CN=bob,O=Example".to_owned();
    certificate.issuer = "CN=Clients".to_owned();
    certificate.common_name = "bob".to_owned();
    certificate.units = vec!["staff".to_owned()];
    let certificate = Arc::new(certificate);
    let shared = authenticator("[certificate]\nname = \"common-name\"\ngroups-from-units = true\n");
    let with = |shared: &Arc<Authenticator>| {
        Session::new(
            Arc::clone(shared),
            SOURCE,
            Vec::new(),
            Some(Arc::clone(&certificate)),
        )
    };
    let Verdict::Known { identity, .. } = with(&shared).judge(None).await else {
        panic!("not known");
    };
    assert_eq!(
        (identity.to_string().as_str(), identity.issuer.as_str()),
        ("bob", "CN=Clients")
    );
    assert_eq!(identity.groups, ["staff"]);
    assert!(
        told(session(&shared).judge(None).await).is_err(),
        "without a certificate"
    );
    let no_name = authenticator("[certificate]\nname = \"upn\"\n");
    assert!(
        told(with(&no_name).judge(None).await).is_err(),
        "the field is empty"
    );
    let off = authenticator("");
    assert!(told(with(&off).judge(None).await).is_err(), "not written");
}

#[tokio::test]
async fn a_helper_is_asked_for_a_domains_accounts() {
    let script = r#"read -r a; echo "TT Yg=="; read -r b; case "$b" in "KK YQ==") printf 'AF DOM%sbob\n' '\';; *) echo "NA NT_STATUS_LOGON_FAILURE";; esac"#;
    let text = format!(
        "[ntlm]\nchannel-binding = \"off\"\n[ntlm.helper]\nprogram = \"/bin/sh\"\narguments = [\"-c\", {script:?}]\nprocesses = 1\n"
    );
    let shared = authenticator(&text);
    let mut session = session(&shared);
    assert_eq!(
        told(session.judge(Some(&value("NTLM eHh4"))).await),
        Err(vec!["NTLM Yg==".to_owned()])
    );
    assert_eq!(
        told(session.judge(Some(&value("NTLM YQ=="))).await).as_deref(),
        Ok("DOM\\bob")
    );
}

/// By hand, after MS-NLMP sections 2.2.1.2 and 2.2.2.1: the pairs of the challenge begin where its field at 40 says.
#[tokio::test]
async fn the_challenge_says_nothing_of_this_machine_and_has_all_names() {
    let folder = folder();
    let shared = authenticator(&all(folder.path()));
    let mut handshake = bob("secret")
        .begin("HTTP/h.test", false, false)
        .expect("begun");
    let Ok(Progress::Continue(token)) = handshake.step(b"") else {
        panic!("no first message");
    };
    let sent = value(&format!("NTLM {}", STANDARD.encode(token)));
    let challenges = told(session(&shared).judge(Some(&sent)).await).expect_err("a challenge");
    let challenge = challenges[0].strip_prefix("NTLM ").expect("the scheme");
    let challenge = STANDARD.decode(challenge).expect("base64");
    let number = |at: usize| usize::from(u16::from_le_bytes([challenge[at], challenge[at + 1]]));
    let mut pairs = &challenge[number(44)..number(44) + number(40)];
    let mut names = Vec::new();
    while let [id, 0, len, 0, rest @ ..] = pairs
        && *id != 0
    {
        let (value, rest) = rest.split_at(usize::from(*len));
        if *id <= 4 {
            let text: String = value
                .iter()
                .step_by(2)
                .map(|byte| char::from(*byte))
                .collect();
            names.push((*id, text));
        }
        pairs = rest;
    }
    names.sort();
    let expected = [(1, "RPC"), (2, "RPC"), (3, "rpc"), (4, "rpc")];
    assert_eq!(names, expected.map(|(id, name)| (id, name.to_owned())));
}

#[tokio::test]
async fn over_a_line_that_clients_share_nobody_is_who_was_there_before() {
    let folder = folder();
    let shared = authenticator(&all(folder.path()));
    let mut session = session(&shared).shared_line(true);
    let right = basic("alice", "<.S.2K(Zq'");
    assert!(told(session.judge(Some(&right)).await).is_ok());
    assert!(
        told(session.judge(None).await).is_err(),
        "the next request is another's"
    );
    assert!(told(session.judge(Some(&right)).await).is_ok());
}
