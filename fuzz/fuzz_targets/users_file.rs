//! A file of users that is read says the same after it is written and read again, and holds no user twice.
#![no_main]

use std::collections::BTreeSet;

use farcall_security::Users;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(users) = Users::parse(text) else {
        return;
    };
    let written = users.text();
    let again = Users::parse(&written).expect("our own");
    assert_eq!(*again.text(), *written);
    let names: BTreeSet<String> = users.iter().map(|user| user.full_name()).collect();
    assert_eq!(names.len(), users.iter().count());
    for user in users.iter() {
        let found = users.lookup(&user.account.name, &user.account.domain);
        assert_eq!(found.map(|found| found.full_name()), Some(user.full_name()));
    }
});
