//! `farcall echo` and `farcall binder` as a user runs them, tested and called by what others wrote: Samba's tests of single PDUs,
//! smbtorture, rpcclient, Samba's bindings, impacket. The server is found through the binder, with which it registered.

use std::process::Command;
use std::thread;
use std::time::Duration;

use farcall::generated::rpcecho::rpcecho;
use farcall_conformance::dce::{Way, runtime};
use farcall_conformance::peer::farcall::{self as command, Farcall};
use farcall_conformance::peer::samba::{self, DOMAIN, Domain, KEYTAB, USER, USER_PASSWORD};
use farcall_conformance::peer::{Process, Scratch, available, find, python, torture};
use farcall_conformance::{case, network, network_test};
use farcall_dce::security::AuthLevel;

/// How many security contexts a connection may have here: one of Samba's tests makes them all.
const AUTH_CONTEXTS: &str = "64";

/// Samba's tests that need an SMB server: they come as a user of SMB, or tell its pipes and TCP apart.
const SMB: [&str; 3] = [
    "!*_assoc_group_ok2",
    "!*_assoc_group_fail3",
    "!*_lsa_multi_auth_*u",
];

/// Samba's tests that need Kerberos; the last one tells signed headers by what NTLM, which signs all of a PDU, does not show.
const KERBEROS: [&str; 2] = ["*_krb5_*", "*_spnego_multiple_auth_hdr_signing"];

/// Samba's tests that ask an endpoint mapper for netlogon first.
const MAPPED: [&str; 4] = [
    "*_requests",
    "*_requests0?",
    "test_first_*_requests",
    "test_mix_requests",
];

/// Samba's tests in which a user of NTLM says that he is nobody, which our endpoint mapper does not take, and those that call lsarpc,
/// which it does not have.
const NOBODY: [&str; 8] = [
    "!*_lsa_multi_auth_*",
    "!*_auth_pad_ok",
    "!*_spnego_connect_integrity_upgrade",
    "!*_spnego_connect_packet_upgrade",
    "!*_spnego_connect_reauth_*",
    "!*_spnego_integrity_downgrade_connect",
    "!*_spnego_packet_downgrade_connect",
    "!*_spnego_multiple_auth_hdr_signing",
];

/// A binder where clients look for one, and a server that has registered there.
struct Host {
    _binder: Farcall,
    echo: Farcall,
    scratch: Scratch,
}

fn host() -> Host {
    let scratch = Scratch::new("command").expect("a folder");
    let users = command::users(&scratch).expect("a file of users");
    let binder = [
        "binder",
        "-l",
        "ncacn_ip_tcp:127.0.0.1[135]",
        "-l",
        "ncalrpc:[epmapper]",
        "--users",
        &users,
        "--auth-floor",
        "connect",
        "--max-auth-contexts",
        AUTH_CONTEXTS,
    ];
    let binder = Farcall::start(&binder, 2).expect("farcall binder");
    let echo = [
        "echo",
        "-v",
        "--register",
        "ncalrpc:[epmapper]",
        "--users",
        &users,
    ];
    let echo = Farcall::start(&echo, 1).expect("farcall echo");
    Host {
        _binder: binder,
        echo,
        scratch,
    }
}

/// An echo server at port 135 of another address of this machine, by itself.
fn alone(more: &[&str]) -> Farcall {
    let mut arguments = vec![
        "echo",
        "-l",
        "ncacn_ip_tcp:127.0.0.2[135]",
        "--register",
        "none",
        "--max-auth-contexts",
        AUTH_CONTEXTS,
    ];
    arguments.extend(more);
    Farcall::start(&arguments, 1).expect("farcall echo")
}

/// Who Samba's tests are, and where they find what.
fn raw(scratch: &Scratch, server: &str, name: &str, patterns: &[&str]) -> Command {
    let configuration = samba::client_configuration(scratch).expect("a configuration");
    let mut command = python::samba_script("samba_raw.py");
    command.args(patterns).env("SMB_CONF_PATH", configuration);
    command
        .env("SERVER", server)
        .env("TARGET_HOSTNAME", name)
        .env("REALM", samba::REALM);
    command
        .env("USERNAME", USER)
        .env("PASSWORD", USER_PASSWORD)
        .env("DOMAIN", DOMAIN);
    command
        .env("MAX_NUM_AUTH", AUTH_CONTEXTS)
        .env("PYTHONWARNINGS", "ignore");
    command
}

/// Runs Samba's tests of single PDUs, each of these selections in a process of its own: all of them must pass, and so many at least.
fn pass(commands: Vec<Command>, least: usize) {
    let printed = thread::scope(|scope| {
        let run = |mut command: Command| {
            scope.spawn(move || {
                Process::run_within("Samba's tests", &mut command, Duration::from_secs(150))
            })
        };
        let runs: Vec<_> = commands.into_iter().map(run).collect();
        let whole = |run: thread::ScopedJoinHandle<'_, std::io::Result<(_, String)>>| {
            run.join().expect("a run").expect("Samba's tests").1
        };
        runs.into_iter().map(whole).collect::<Vec<String>>()
    });
    let mut passed = 0;
    for printed in printed {
        // What the tests themselves say goes to standard error, and is among it: `recv_raw: TIMEOUT` where no answer is right.
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            !lines.iter().any(|line| line.starts_with("failed ")),
            "{printed}"
        );
        assert!(
            lines.iter().any(|line| line.starts_with("ran ")),
            "{printed}"
        );
        passed += lines
            .iter()
            .filter(|line| line.starts_with("passed "))
            .count();
    }
    assert!(passed >= least, "{passed} passed, {least} were expected");
}

/// All but these.
fn but(patterns: &[&str]) -> Vec<String> {
    patterns
        .iter()
        .map(|pattern| format!("!{pattern}"))
        .collect()
}

fn user() -> String {
    format!("{DOMAIN}/{USER}%{USER_PASSWORD}")
}

fn well(name: &str, command: &mut Command) -> String {
    let (status, printed) = Process::run(name, command).expect(name);
    assert!(
        status.success() && printed.contains("all well\n"),
        "{name}: {status}\n{printed}"
    );
    printed
}

network_test! {
    fn samba_s_tests_of_single_pdus_pass_against_echo() {
        if !python::samba_available() || !command::available() {
            return;
        }
        let scratch = Scratch::new("raw").expect("a folder");
        let users = command::users(&scratch).expect("a file of users");
        let _echo = alone(&["--users", &users]);
        let (kerberos, mapped) = (but(&KERBEROS), but(&MAPPED));
        let patterns: Vec<&str> = kerberos.iter().chain(&mapped).map(String::as_str).chain(SMB).collect();
        pass(vec![raw(&scratch, "127.0.0.2", "127.0.0.1", &patterns)], 161);
        case::ran("Samba's Python", "raw_protocol against farcall echo: 161 tests");
    }

    fn samba_s_tests_of_single_pdus_pass_against_the_binder_and_a_server_found_there() {
        if !python::samba_available() || !command::available() {
            return;
        }
        let host = host();
        let (kerberos, mapped) = (but(&KERBEROS), but(&MAPPED));
        let own: Vec<&str> = kerberos.iter().chain(&mapped).map(String::as_str).chain(SMB).chain(NOBODY).collect();
        // Each of the long ones sends 4 MiB and waits after every fragment for an answer that must not come.
        let long = ["01", "02", "03", "04", "05"].map(|number| format!("test_fragmented_requests{number}"));
        let short: Vec<&str> = MAPPED.into_iter().chain(["!test_fragmented_requests0?"]).collect();
        let mut runs: Vec<Command> = [own, short].iter().map(|some| raw(&host.scratch, "127.0.0.1", "127.0.0.1", some)).collect();
        runs.extend(long.iter().map(|one| raw(&host.scratch, "127.0.0.1", "127.0.0.1", &[one])));
        pass(runs, 164);
        case::ran("Samba's Python", "raw_protocol against farcall binder and a server found there: 164 tests");
    }

    fn samba_s_tests_of_single_pdus_pass_under_kerberos() {
        if !python::samba_available() || !command::available() || !available(samba::NEEDS) {
            return;
        }
        let domain = Domain::start().expect("start the domain controller");
        let echo = alone(&["--keytab", KEYTAB, "-l", "ncacn_ip_tcp:127.0.0.1[0]"]);
        let scratch = domain.scratch();
        pass(vec![raw(scratch, "127.0.0.2", samba::OUR_HOST, &KERBEROS)], 10);
        case::ran("Samba's Python", "raw_protocol against farcall echo under Kerberos: 10 tests");
        // Our own client too, at the levels at which Samba's server takes no client of MIT's library.
        let port = echo.process.lines("ready ", 2).expect("two endpoints").pop().unwrap_or_default();
        let (_, port) = port.split_once('[').expect("a port");
        let endpoint = format!("ncacn_ip_tcp:{}[{port}", samba::OUR_HOST);
        runtime().block_on(async {
            for way in [Way::Kerberos, Way::SpnegoKerberos] {
                for level in [AuthLevel::CONNECT, AuthLevel::PKT, AuthLevel::INTEGRITY, AuthLevel::PRIVACY] {
                    let client = rpcecho::Client::connect_with(&*endpoint, way.options(level)).await;
                    let client = client.unwrap_or_else(|error| panic!("{way:?} {level}: {error}"));
                    let sum = client.add_one(41).await.unwrap_or_else(|error| panic!("{way:?} {level}: {error}"));
                    assert_eq!(sum, 42, "{way:?} {level}");
                }
            }
        });
    }

    fn smbtorture_finds_our_server_through_our_binder() {
        if !available(&["smbtorture"]) || !command::available() {
            return;
        }
        let host = host();
        let configuration = samba::client_configuration(&host.scratch).expect("a configuration");
        let user = format!("-U{}", user());
        for (binding, suite, tests) in [
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.echo", 10),
            ("ncacn_ip_tcp:127.0.0.1[seal,ndr64]", "rpc.echo", 10),
            ("ncacn_ip_tcp:127.0.0.1[connect,bigendian]", "rpc.echo", 10),
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.epmapper", 5),
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.mgmt", 1),
            ("ncacn_ip_tcp:127.0.0.1[seal]", "rpc.dssetup", 1),
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.bind", 9),
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.altercontext", 1),
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.handles.lsarpc", 1),
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.handles.samr", 1),
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.handles.mixed-shared", 1),
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.handles.random-assoc", 1),
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.handles.drsuapi", 1),
            ("ncacn_ip_tcp:127.0.0.1[sign]", "rpc.objectuuid", 1),
            ("ncacn_ip_tcp:127.0.0.1[seal]", "rpc.unixinfo", 5),
            ("ncacn_ip_tcp:127.0.0.1[sign,ndr64]", "rpc.unixinfo", 5),
            ("ncacn_ip_tcp:127.0.0.1[bigendian]", "rpc.unixinfo", 5),
        ] {
            let found = torture::run(&configuration, binding, suite, &[&user]).expect("run smbtorture");
            assert!(found.failed.is_empty(), "{suite}: {:?}\n{}", found.failed, found.printed);
            assert_eq!(found.passed.len(), tests, "{suite}\n{}", found.printed);
        }
        case::ran("smbtorture", "rpc.echo, epmapper, mgmt, dssetup, unixinfo, bind, altercontext, handles, objectuuid with farcall binder and farcall echo");
    }

    fn rpcclient_finds_our_server_through_our_binder() {
        if !available(&["rpcclient"]) || !command::available() {
            return;
        }
        let host = host();
        let configuration = samba::client_configuration(&host.scratch).expect("a configuration");
        let calls = "epmlookup; echoaddone 41; echodata 1000; sinkdata 100000; sourcedata 100000; getusername; dsroledominfo";
        for (ways, name) in [("", "ANONYMOUS LOGON"), ("connect", USER), ("connect,ntlm", USER), ("connect,spnego", USER), ("packet,ntlm", USER), ("sign", USER), ("seal,spnego", USER)] {
            let mut command = Command::new(find("rpcclient").expect("rpcclient"));
            command.arg("-s").arg(&configuration).args(["-U", &user(), "--use-kerberos=disabled"]);
            command.arg(format!("ncacn_ip_tcp:127.0.0.1[{ways}]")).args(["-c", calls]);
            let (status, printed) = Process::run("rpcclient", &mut command).expect("run rpcclient");
            assert!(status.success(), "{ways}: {status}\n{printed}");
            for line in ["41 + 1 = 42", "Machine Role = [2]", &format!("Account Name: {name},"), ": rpcecho"] {
                assert!(printed.contains(line), "{ways}: no {line:?} in\n{printed}");
            }
            assert!(!printed.contains("NT_STATUS") && !printed.contains("WERR"), "{ways}:\n{printed}");
        }
        case::ran("rpcclient", "epmlookup, rpcecho, lsarpc, dssetup with farcall binder and farcall echo, at every level");
    }

    fn impacket_lists_and_calls_our_server() {
        if !python::available() || !command::available() {
            return;
        }
        let host = host();
        let port = host.echo.port();
        let mut command = python::program("rpcdump.py");
        let (_, said) = Process::run("rpcdump", command.args(["-port", "135", "127.0.0.1"])).expect("run rpcdump");
        let binding = format!("ncacn_ip_tcp:127.0.0.1[{port}]");
        for part in ["60A15EC5-4DE8-11D7-A637-005056A20182 v1.0", "12345778-1234-ABCD-EF00-0123456789AB v0.0", &binding] {
            assert!(said.contains(part), "no {part} in\n{said}");
        }
        let mut command = python::program("rpcmap.py");
        command.args(["-auth-level", "1", "-no-pass", "-brute-opnums", "-opnum-max", "5", "ncacn_ip_tcp:127.0.0.1[135]"]);
        let (_, said) = Process::run("rpcmap", &mut command).expect("run rpcmap");
        assert!(said.contains("E1AF8308-5D1F-11C9-91A4-08002B14A0FA v3.0"), "{said}");
        for level in ["none", "connect", "packet", "integrity", "privacy"] {
            let mut command = python::script("impacket_client.py");
            command.args(["echo", &port.to_string(), level]);
            if level != "none" {
                command.arg(user());
            }
            let said = well("impacket", &mut command);
            assert!(said.contains("AddOne 42"), "{level}: {said}");
        }
        case::ran("impacket", "rpcdump, rpcmap and rpcecho with farcall binder and farcall echo");
    }

    fn samba_s_bindings_find_our_server_through_our_binder() {
        if !python::samba_available() || !command::available() {
            return;
        }
        let host = host();
        let configuration = samba::client_configuration(&host.scratch).expect("a configuration");
        let user = format!("{DOMAIN}\\{USER}%{USER_PASSWORD}");
        for form in ["", "bigendian", "ndr64", "connect", "packet", "sign,spnego", "seal,ndr64", "seal,bigendian"] {
            let mut command = python::samba_script("samba_client.py");
            command.args(["echo", &format!("ncacn_ip_tcp:127.0.0.1[{form}]")]).arg(&configuration);
            well("Samba's bindings", command.arg(&user));
        }
        let mut command = python::samba_script("samba_client.py");
        let said = well("Samba's bindings", command.args(["mapper", "ncacn_ip_tcp:127.0.0.1[135]"]).arg(&configuration));
        let (_, entries) = said.split_once("entries ").expect("a count");
        let count: usize = entries.lines().next().and_then(|text| text.parse().ok()).expect("a count");
        assert!(count >= 8, "{said}");
        case::ran("Samba's Python", "rpcecho of farcall echo, found through farcall binder, in every form");
    }

    fn a_binder_that_is_started_anew_is_told_again() {
        if !command::available() {
            return;
        }
        let Host { _binder: binder, echo, .. } = host();
        binder.process.stop(nix::sys::signal::Signal::SIGKILL).expect("the binder ends");
        let arguments = ["binder", "-l", "ncacn_ip_tcp:127.0.0.1[135]", "-l", "ncalrpc:[epmapper]"];
        let _binder = Farcall::start(&arguments, 2).expect("farcall binder");
        let listed = || command::run(&["ls", "ncacn_ip_tcp:127.0.0.1[135]"]).expect("farcall ls");
        assert!(!listed().contains("rpcecho"), "{}", listed());
        echo.process.signal(nix::sys::signal::Signal::SIGHUP).expect("a signal");
        echo.process.line("registered again").expect("it says so");
        assert!(listed().contains("rpcecho"), "{}", listed());
    }

    fn another_user_s_server_takes_no_interface_over() {
        if !command::available() || !available(&["setpriv"]) {
            return;
        }
        if network::has_one_user() || !nix::unistd::geteuid().is_root() {
            return;
        }
        let host = host();
        // Where another user may run it.
        std::fs::copy(command::program(), "/run/another-farcall").expect("a copy of the program");
        let mut other = Command::new("setpriv");
        other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "/run/another-farcall", "echo"]);
        other.args(["--register", "ncalrpc:[epmapper]"]);
        let (status, printed) = Process::run("farcall", &mut other).expect("run farcall echo");
        assert!(!status.success(), "{printed}");
        assert!(printed.contains("hint: a mapper takes registrations only from its own machine and their owner"), "{printed}");
        let listed = command::run(&["ls", "ncacn_ip_tcp:127.0.0.1[135]"]).expect("farcall ls");
        assert!(listed.contains(&host.echo.port().to_string()), "{listed}");
    }
}
