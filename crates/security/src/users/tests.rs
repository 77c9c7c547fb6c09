//! The file of users: read, written, changed, refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

/// The hashes of "password" and "Password" (the latter from MS-NLMP section 4.2.2.1.2).
const TEXT: &str = "# who may come in\n\
    alice:8846f7eaee8fb117ad06bdd830b7586c:admins,operators\n\
    \n\
    EXAMPLE\\bob:a4f49c406510bdcab6824ee7c30fd852:\n\
    carol:*:\n";

fn users() -> Users {
    Users::parse(TEXT).unwrap()
}

fn password(text: &str) -> Password {
    Password::from(text)
}

#[test]
fn a_file_is_read_and_written_as_it_was() {
    let users = users();
    assert_eq!(*users.text(), TEXT);
    let names: Vec<String> = users.iter().map(User::full_name).collect();
    assert_eq!(names, ["alice", "EXAMPLE\\bob", "carol"]);
    assert_eq!(
        users.iter().next().unwrap().account.groups,
        ["admins", "operators"]
    );
}

#[test]
fn a_comment_at_the_end_keeps_no_carriage_return() {
    let read = Users::parse("carol:*:\r\n# end \r").unwrap();
    assert_eq!(*read.text(), "carol:*:\n# end\n");
}

#[test]
fn passwords_are_checked() {
    let users = users();
    assert!(users.verify("alice", "", &password("password")));
    assert!(users.verify("ALICE", "anything", &password("password")));
    assert!(users.verify("example\\BOB", "", &password("Password")));
    for (name, text) in [
        ("alice", "Password"),
        ("carol", ""),
        ("dave", ""),
        ("dave", "password"),
    ] {
        assert!(!users.verify(name, "", &password(text)), "{name}");
    }
}

#[test]
fn users_are_found_by_name_and_domain() {
    let users = users();
    let find = |user, domain| users.lookup(user, domain).map(User::full_name);
    assert_eq!(find("bob", "EXAMPLE").as_deref(), Some("EXAMPLE\\bob"));
    assert_eq!(find("bob@example", "").as_deref(), Some("EXAMPLE\\bob"));
    assert_eq!(find("bob", "").as_deref(), Some("EXAMPLE\\bob"));
    assert_eq!(find("bob", "OTHER"), None);
    assert_eq!(find("alice", "OTHER").as_deref(), Some("alice"));
    assert_eq!(find("", ""), None);
    let two = Users::parse("A\\bob:*:\nB\\bob:*:\n").unwrap();
    assert!(two.lookup("bob", "").is_none());
    assert!(two.lookup("bob", "b").is_some());
}

#[test]
fn users_are_added_changed_and_removed_and_comments_stay() {
    let mut users = users();
    users
        .add("dave", "EXAMPLE", &password("p"), &["admins".to_owned()])
        .unwrap();
    assert!(matches!(
        users.add("Dave", "example", &password("p"), &[]),
        Err(Error::Exists(_))
    ));
    users.set_password("alice", "", &password("new")).unwrap();
    users.remove("carol", "").unwrap();
    assert!(matches!(users.remove("carol", ""), Err(Error::Missing(_))));
    assert!(matches!(
        users.set_password("bob", "", &password("p")),
        Err(Error::Missing(_))
    ));
    assert!(
        users.verify("alice", "", &password("new"))
            && users.verify("dave", "EXAMPLE", &password("p"))
    );
    let text = users.text();
    assert!(text.starts_with("# who may come in\nalice:"));
    assert!(text.contains("\n\nEXAMPLE\\bob:a4f49c40"));
    assert!(text.ends_with(":admins\n") && !text.contains("carol"));
    assert_eq!(*Users::parse(&text).unwrap().text(), *text);
}

#[test]
fn lines_that_are_none_are_refused_with_their_number() {
    for wrong in [
        "alice",
        "alice:",
        "alice:zz46f7eaee8fb117ad06bdd830b7586c:",
        "alice:+846f7eaee8fb117ad06bdd830b7586c:",
        "alice:8846f7eaee8fb117ad06bdd830b758:",
        "alice:*::",
        ":*:",
        "\\alice:*:",
        "EXAMPLE\\:*:",
        "a\\b\\c:*:",
        "al@ice:*:",
        "alice:*:admins,",
        "alice:*:a b\u{7}",
        "ALICE:*:\nalice:*:",
    ] {
        let text = format!("# one\n\n{wrong}\n");
        let fault = Users::parse(&text).unwrap_err();
        let line = if wrong.contains('\n') { 4 } else { 3 };
        assert!(
            matches!(fault, Error::Line { line: at, .. } if at == line),
            "{wrong}: {fault}"
        );
    }
}

#[test]
fn names_that_would_break_the_file_are_refused() {
    let mut users = Users::default();
    for wrong in ["", "a:b", "a\\b", "a@b", "#a", " a", "a ", "a\nb", "a,b"] {
        let group = [wrong.to_owned()];
        users.add(wrong, "", &password("p"), &[]).unwrap_err();
        users.add("a", "", &password("p"), &group).unwrap_err();
        if !wrong.is_empty() {
            users.add("a", wrong, &password("p"), &[]).unwrap_err();
        }
    }
    assert_eq!(users.iter().count(), 0);
}

#[test]
fn a_file_is_made_for_its_owner_alone_and_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    Users::edit(&path, |users| users.add("alice", "", &password("p"), &[])).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::metadata(&path).unwrap().ino();
    Users::edit(&path, |users| users.add("bob", "", &password("p"), &[])).unwrap();
    assert_ne!(fs::metadata(&path).unwrap().ino(), before);
    let failed = Users::edit(&path, |users| {
        users.add("carol", "", &password("p"), &[])?;
        users.remove("nobody", "")
    });
    assert!(matches!(failed, Err(Error::Missing(_))));
    assert_eq!(Users::load(&path).unwrap().iter().count(), 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_no_regular_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link, socket) = (
        folder.path().join("users"),
        folder.path().join("link"),
        folder.path().join("socket"),
    );
    users().save(&file).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [&link, &socket] {
        let before = std::fs::symlink_metadata(path).unwrap();
        let saved = users().save(path);
        let edited = Users::edit(path, |_| Ok(()));
        for error in [saved.unwrap_err(), edited.unwrap_err()] {
            assert!(
                format!("{error:?}").contains("no regular file"),
                "{error:?}"
            );
        }
        let after = std::fs::symlink_metadata(path).unwrap();
        assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
    }
}

#[test]
fn a_file_that_others_can_get_at_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    fs::write(&path, TEXT).unwrap();
    for (mode, fine) in [
        (0o600, true),
        (0o400, true),
        (0o640, true),
        (0o660, false),
        (0o644, false),
        (0o606, false),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(Users::load(&path).is_ok(), fine, "{mode:o}");
        assert_eq!(UsersFile::open(&path).is_ok(), fine, "{mode:o}");
    }
    let shown = Users::load(&path).unwrap_err().to_string();
    assert!(shown.ends_with("mode 606 lets others at it, expected 600"));
}

#[test]
fn a_file_that_changes_is_read_again_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    Users::edit(&path, |users| users.add("alice", "", &password("p"), &[])).unwrap();
    let file = UsersFile::open(&path).unwrap();
    assert!(file.find("alice", "").is_some() && file.find("bob", "").is_none());
    Users::edit(&path, |users| users.add("bob", "", &password("p"), &[])).unwrap();
    assert!(file.find("bob", "").is_some());
    fs::remove_file(&path).unwrap();
    assert!(file.find("bob", "").is_some());
    fs::write(&path, "broken\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(file.find("bob", "").is_some());
}

#[test]
fn no_hash_is_shown() {
    let shown = format!("{:?}", users());
    assert!(shown.contains("alice") && !shown.contains("8846"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic_and_what_is_read_is_written_again(text in "([ -~]{0,20}(:|\\\\|,|\n|\\*){0,3}){0,8}") {
        if let Ok(users) = Users::parse(&text) {
            let written = users.text();
            proptest::prop_assert_eq!(Users::parse(&written).unwrap().text(), written);
        }
    }
}

#[test]
fn an_account_carries_its_groups_to_the_principal() {
    let found = users().find("alice", "EXAMPLE").unwrap();
    assert_eq!(found.principal("ntlm").groups, ["admins", "operators"]);
    let found = users().find("bob", "EXAMPLE").unwrap();
    assert!(found.principal("ntlm").groups.is_empty());
}
