//! `farcall proxy check`, `explain` and `template`: what needs no running proxy.

mod common;

use common::farcall;

/// A configuration in a folder of its own.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

const TARGET: &str = "[[target]]\nname = \"files\"\nhosts = [\"10.0.0.5\"]\nports = [593]\n";

#[test]
fn the_template_is_checked_without_a_warning() {
    let (_folder, path) = file(&farcall(&["proxy", "template"]).ok());
    let said = farcall(&["proxy", "check", "--offline", "--strict", &path]).ok();
    assert_eq!(said, "0 errors, 0 warnings\n");
    // Without --offline its files are missed.
    let said = farcall(&["proxy", "check", &path]);
    assert_eq!(said.code, 1);
    assert!(
        said.stdout
            .contains("listen \"internet\".tls.key: /etc/farcall/"),
        "{said:?}"
    );
}

#[test]
fn check_says_where_and_what_would_be_right() {
    let (_folder, path) = file(&format!(
        "{TARGET}[[rule]]\nname = \"r\"\naction = \"allow\"\ninterfaces = [\"efsrp\"]\n"
    ));
    let said = farcall(&["proxy", "check", &path]);
    let expected = format!(
        "error: {path}:8:15: rule \"r\".interfaces: no interface is called \"efsrp\"\n8 | interfaces = [\"efsrp\"]\n  |               ^^^^^^^\n  hint: did you mean efsrpc?\n1 error, 0 warnings\n"
    );
    assert_eq!((said.code, said.stdout), (1, expected));
    let json = farcall(&["proxy", "check", &path, "--json"]);
    let found = &json.json()["diagnostics"][0];
    assert_eq!(
        (&found["line"], &found["key"]),
        (&8.into(), &"rule \"r\".interfaces".into())
    );
    let said = farcall(&["proxy", "check", "/no/such/file"]);
    assert!(
        said.code == 2 && said.stdout.contains("No such file"),
        "{said:?}"
    );
}

#[test]
fn explain_says_which_rule_decides_and_which_come_too_late() {
    let rules = "[[rule]]\nname = \"staff\"\naction = \"allow\"\ngroups = [\"staff\"]\ninterfaces = [\"samr\"]\nminimum-level = \"privacy\"\n\
                 [[rule]]\nname = \"all\"\naction = \"allow\"\nusers = ['EXAMPLE\\*']\ninterfaces = [\"samr\", \"lsarpc\"]\n";
    let (_folder, path) = file(&format!("policy.deny-pack = \"off\"\n{TARGET}{rules}"));
    let ask = |who: &str, what: &str, more: &[&str]| {
        let fixed = ["proxy", "explain", "--config", &path, who, what];
        farcall(
            &fixed
                .into_iter()
                .chain(more.iter().copied())
                .collect::<Vec<_>>(),
        )
    };
    let said = ask(
        "EXAMPLE\\alice",
        "10.0.0.5:593/samr/SamrConnect",
        &["--group", "staff"],
    )
    .ok();
    for expected in [
        "EXAMPLE\\alice to target \"files\" (10.0.0.5)\n",
        "connect: allowed\n  let in, since rule \"staff\" may allow calls\n",
        "call samr.SamrConnect at privacy: allowed\n  allowed by rule \"staff\"\n",
        "it would match as well, but comes later",
    ] {
        assert!(said.contains(expected), "no {expected:?} in {said}");
    }
    let said = ask(
        "other",
        "10.0.0.5:593/samr/0",
        &["--group", "staff", "--level", "none"],
    );
    assert_eq!(said.code, 1);
    assert!(
        said.stdout
            .contains("rule \"staff\" would but for its minimum-level"),
        "{said:?}"
    );
    let json = ask("EXAMPLE\\bob", "10.0.0.5:593/lsarpc/LsarClose", &["--json"]).json();
    assert_eq!(
        (&json["allowed"], &json["answers"][2]["rule"]),
        (&true.into(), &"all".into())
    );
    let said = ask("x", "10.0.0.5:594", &[]);
    assert!(
        said.code == 1
            && said
                .stdout
                .contains("denied  the target does not have this port"),
        "{said:?}"
    );
    ask("x", "0x7f.1:593", &[]).fails(2, &["is no target", "hint: such as"]);
    ask("x", "10.0.0.5:593/sam", &[])
        .fails(2, &["no interface is called", "hint: did you mean samr?"]);
    ask("x", "10.0.0.5:593/samr/zzz", &[]).fails(2, &["no operation"]);
}

#[test]
fn the_pack_is_in_force_without_being_written() {
    let (_folder, path) = file(&format!(
        "{TARGET}[[rule]]\nname = \"all\"\naction = \"allow\"\n"
    ));
    let said = farcall(&[
        "proxy",
        "explain",
        "--config",
        &path,
        "DOM\\a",
        "10.0.0.5:593/efsrpc/EfsRpcOpenFileRaw",
    ]);
    assert_eq!(said.code, 1);
    assert!(
        said.stdout
            .contains("denied by rule \"deny-pack: encrypting file system\""),
        "{said:?}"
    );
}
