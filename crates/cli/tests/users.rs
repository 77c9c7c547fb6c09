//! `farcall user`: the file of users from the outside.

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{farcall, farcall_with};
use serde_json::json;

#[test]
fn users_come_change_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let file = path.to_str().unwrap();
    let user = |verb: &str, name: &str, input: &str| {
        let secret = ["user", verb, file, name, "--password-stdin"];
        farcall_with(&secret, input.as_bytes())
    };

    let added = user("add", "alice", "first\n");
    assert!(added.stderr.contains("as good as the passwords"));
    added.ok();
    user("add", "EXAMPLE\\bob", "second\r\n").ok();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // MD4 of "first" in UTF-16, by another program.
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("alice:e1f39b544ba1f95e2e967e5fba8a653a:\n"),
        "{text}"
    );

    assert_eq!(user("verify", "alice", "first").code, 0);
    assert_eq!(user("verify", "alice", "second").code, 1);
    assert_eq!(user("verify", "nobody", "first").code, 1);
    user("passwd", "alice", "third").ok();
    assert_eq!(user("verify", "alice", "third").code, 0);
    user("passwd", "carol", "x").fails(2, &["there is no user carol", "hint: farcall user list"]);
    user("add", "ALICE", "x").fails(
        2,
        &["there is a user ALICE already", "hint: farcall user passwd"],
    );
    user("add", "a:b", "x").fails(2, &["is no name"]);
    user("add", "dave", "\n").fails(2, &["the password is empty"]);

    let listed = farcall(&["user", "list", file]).ok();
    assert_eq!(
        listed,
        "USER         GROUPS  PASSWORD\nalice                set\nEXAMPLE\\bob          set\n"
    );
    farcall(&["user", "remove", file, "alice"]).ok();
    farcall(&["user", "remove", file, "alice"]).fails(2, &["there is no user alice"]);
    let left = json!([{ "name": "bob", "domain": "EXAMPLE", "groups": [], "password": true }]);
    assert_eq!(farcall(&["user", "list", file, "--json"]).json(), left);
}

#[test]
fn a_file_that_others_can_read_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, "alice:*:admins,staff\n").unwrap();
    let file = path.to_str().unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    farcall(&["user", "list", file]).fails(2, &["mode 644", "hint: chmod 600"]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let listed = farcall(&["user", "list", file]).ok();
    assert!(listed.ends_with("alice  admins,staff  none\n"), "{listed}");
    farcall(&["user", "list", "/nowhere/users"]).fails(2, &["/nowhere/users"]);
}
