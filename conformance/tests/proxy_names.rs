//! The names that the proxy knows interfaces and operations by: what `farcall gen --names` makes of our interface files, and what others call the same numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use farcall_conformance::case;
use farcall_conformance::peer::farcall;
use farcall_conformance::peer::{Process, python};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn table(name: &str) -> Value {
    let path = root().join("crates/proxy/names").join(name);
    let text = fs::read_to_string(path).expect("a table of names");
    serde_json::from_str(&text).expect("JSON")
}

/// The interfaces of a table, by UUID.
fn interfaces(table: &Value) -> BTreeMap<String, Value> {
    let all = table["interfaces"].as_array().expect("interfaces");
    let one = |it: &Value| (it["uuid"].as_str().expect("a UUID").to_owned(), it.clone());
    all.iter().map(one).collect()
}

#[test]
fn the_built_in_table_is_what_our_interface_files_say() {
    if !farcall::available() {
        return;
    }
    let built_in = interfaces(&table("standard.json"));
    let mut made = BTreeMap::new();
    let mut files: Vec<_> = fs::read_dir(root().join("idl"))
        .expect("interfaces")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "idl"));
    for file in files {
        let printed =
            farcall::run(&["gen", "--names", &file.display().to_string()]).expect("farcall gen");
        made.extend(interfaces(&serde_json::from_str(&printed).expect("JSON")));
    }
    for (uuid, interface) in &built_in {
        assert_eq!(
            made.get(uuid),
            Some(interface),
            "{}: make it anew with farcall gen --names",
            interface["name"]
        );
    }
}

/// Letters and digits, in lower case, and without the prefix that some leave out.
fn plain(name: &str) -> String {
    let name = name.trim_start_matches("IDL_");
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_lowercase()
}

#[test]
fn impacket_calls_the_same_numbers_by_the_same_names() {
    if !python::available() {
        return;
    }
    let mut names: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut versions = BTreeMap::new();
    for table in ["others.json", "standard.json"] {
        for interface in table_rows(table) {
            let uuid = interface["uuid"].as_str().expect("a UUID").to_owned();
            versions.insert(
                uuid.clone(),
                interface["version"].as_str().expect("a version").to_owned(),
            );
            for (opnum, name) in interface["operations"].as_object().expect("operations") {
                let name = plain(name.as_str().expect("a name"));
                names
                    .entry((uuid.clone(), opnum.clone()))
                    .or_default()
                    .push(name);
            }
        }
    }
    let mut command = python::script("interface_names.py");
    let (status, printed) = Process::run("interface_names.py", &mut command).expect("run");
    assert!(status.success(), "{printed}");
    let (mut same, mut wrong) = (0, Vec::new());
    for line in printed.lines() {
        let [kind, uuid, number, name] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else {
            continue;
        };
        let Some(version) = versions.get(uuid) else {
            continue;
        };
        match kind {
            "interface" if number != version => wrong.push(format!("{line}: version {version}")),
            "operation" => {
                let ours = names.get(&(uuid.to_owned(), number.to_owned()));
                match ours.is_some_and(|ours| ours.contains(&plain(name))) {
                    true => same += 1,
                    false => wrong.push(format!("{line}: {ours:?}")),
                }
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(same > 300, "{same} operations were compared");
    case::ran("impacket", "the names of interfaces and operations");
}

fn table_rows(name: &str) -> Vec<Value> {
    table(name)["interfaces"]
        .as_array()
        .expect("interfaces")
        .clone()
}
