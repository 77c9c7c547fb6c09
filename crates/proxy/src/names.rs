//! Names of interfaces and operations: what rules are written with and what logs show.
//!
//! What travels are UUIDs and numbers. The names come from three places: the descriptors that generated stubs carry, tables
//! that are built in (`names/standard.json` is what `farcall gen --names` makes of the interface files of this project,
//! `names/others.json` is by hand), and tables of a user's own interfaces, made by the same command. Two tables may name
//! one interface; then it has both names.

use farcall::stub::Interface;
use farcall_dce::syntax::Uuid;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Tables that are built in.
const BUILT_IN: [&str; 2] = [
    include_str!("../names/others.json"),
    include_str!("../names/standard.json"),
];

/// Largest table that is read, in bytes.
pub const MAX_TABLE: usize = 16 << 20;

/// An interface and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub uuid: Uuid,
    /// Its version, as far as it is known.
    pub version: (u16, u16),
    /// What it is called; the first name is shown.
    pub names: Vec<String>,
    /// Its operations by number.
    pub operations: BTreeMap<u16, String>,
}

impl Known {
    /// The name that is shown.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|it| it.eq_ignore_ascii_case(name))
    }
}

/// Every name that is known.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<Known>);

/// A table of names as `farcall gen --names` writes it.
#[derive(Deserialize)]
struct Table {
    interfaces: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    uuid: String,
    version: String,
    operations: BTreeMap<String, String>,
}

impl Names {
    /// Those that are built in.
    #[must_use]
    pub fn standard() -> Self {
        let mut names = Self::default();
        for table in BUILT_IN {
            // A test shows that they can be read.
            let _ = names.read(table);
        }
        use farcall::generated::{conv, epmapper, mgmt, rpcecho};
        for interface in [
            &epmapper::ept::INTERFACE,
            &mgmt::mgmt::INTERFACE,
            &conv::conv::INTERFACE,
            &rpcecho::rpcecho::INTERFACE,
        ] {
            names.add(interface);
        }
        names
    }

    /// Adds what a generated stub says of its interface.
    pub fn add(&mut self, interface: &Interface) {
        let named = |it: &farcall::stub::Operation| (it.opnum, it.name.to_owned());
        self.merge(Known {
            uuid: interface.uuid,
            version: (interface.major, interface.minor),
            names: vec![interface.name.to_owned()],
            operations: interface.operations.iter().map(named).collect(),
        });
    }

    /// Adds the interfaces of a table, the text of a file that `farcall gen --names` has written.
    ///
    /// # Errors
    /// What is wrong with it; nothing is added then.
    pub fn read(&mut self, table: &str) -> Result<(), String> {
        if table.len() > MAX_TABLE {
            let len = table.len();
            return Err(format!("table of names of {len} bytes, limit {MAX_TABLE}"));
        }
        let table: Table = serde_json::from_str(table).map_err(|error| {
            format!("no table of names as farcall gen --names writes it: {error}")
        })?;
        let rows: Result<Vec<Known>, String> = table.interfaces.into_iter().map(known).collect();
        for row in rows? {
            self.merge(row);
        }
        Ok(())
    }

    fn merge(&mut self, new: Known) {
        let Some(old) = self.0.iter_mut().find(|it| it.uuid == new.uuid) else {
            self.0.push(new);
            return;
        };
        for name in new.names {
            if !old.is_called(&name) {
                old.names.push(name);
            }
        }
        for (opnum, name) in new.operations {
            old.operations.entry(opnum).or_insert(name);
        }
    }

    /// The interfaces of that name, letters of either case; mostly one.
    pub fn called<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Known> {
        self.0.iter().filter(move |it| it.is_called(name))
    }

    /// The interface with this UUID.
    #[must_use]
    pub fn of(&self, uuid: Uuid) -> Option<&Known> {
        self.0.iter().find(|it| it.uuid == uuid)
    }

    /// All that are known.
    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.0.iter()
    }

    /// What an interface is shown as: its name, or its UUID.
    #[must_use]
    pub fn interface(&self, uuid: Uuid) -> String {
        match self.of(uuid) {
            Some(known) => known.name().to_owned(),
            None => uuid.to_string(),
        }
    }

    /// The name of an operation, if it has one.
    #[must_use]
    pub fn operation(&self, uuid: Uuid, opnum: u16) -> Option<&str> {
        self.of(uuid)?.operations.get(&opnum).map(String::as_str)
    }

    /// Names of interfaces that look like one that is not known: at most three.
    #[must_use]
    pub fn like(&self, name: &str) -> Vec<&str> {
        like(
            name,
            self.0
                .iter()
                .flat_map(|it| it.names.iter().map(String::as_str)),
        )
    }
}

/// Names that begin as `name` does, or hold it, or are held by it: at most three.
#[must_use]
pub fn like<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_ascii_lowercase();
    let start: String = wanted.chars().take(4).collect();
    let near = |it: &&str| {
        let it = it.to_ascii_lowercase();
        !start.is_empty()
            && (it.starts_with(&start) || it.contains(&wanted) || wanted.contains(&it))
    };
    let mut found: Vec<&str> = names.filter(near).collect();
    found.sort_unstable_by_key(|it| (it.len().abs_diff(name.len()), *it));
    found.dedup();
    found.truncate(3);
    found
}

/// A row of a table; operations that have no name of their own are left out.
fn known(row: Row) -> Result<Known, String> {
    let Row {
        name,
        uuid,
        version,
        operations,
    } = row;
    let wrong = |what: &str| format!("interface {name:?}: {what}");
    let uuid: Uuid = uuid.parse().map_err(|_| wrong("its uuid is none"))?;
    let version = read_version(&version).ok_or_else(|| wrong("its version is no MAJOR.MINOR"))?;
    let mut named = BTreeMap::new();
    for (opnum, operation) in operations {
        let opnum: u16 = opnum
            .parse()
            .map_err(|_| wrong("an operation's number is none"))?;
        if !is_placeholder(&operation) {
            named.insert(opnum, operation);
        }
    }
    if name.is_empty()
        || name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '.')
    {
        return Err(wrong("its name is empty or holds a blank or a dot"));
    }
    Ok(Known {
        uuid,
        version,
        names: vec![name],
        operations: named,
    })
}

/// Whether a name only says that there is none: `Opnum2NotUsedOnWire`.
fn is_placeholder(operation: &str) -> bool {
    let rest = operation.strip_prefix("Opnum").unwrap_or_default();
    rest.trim_start_matches(|c: char| c.is_ascii_digit())
        .starts_with("Not")
}

/// `MAJOR.MINOR`.
fn read_version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_that_is_built_in_can_be_read() {
        for table in BUILT_IN {
            Names::default().read(table).expect("a table");
        }
        let names = Names::standard();
        assert!(names.iter().count() > 35);
        for known in names.iter() {
            assert!(!known.name().is_empty());
        }
    }

    #[test]
    fn interfaces_have_the_names_that_people_know() {
        let names = Names::standard();
        for (name, uuid, opnum, operation) in [
            (
                "samr",
                "12345778-1234-abcd-ef00-0123456789ac",
                0,
                "SamrConnect",
            ),
            (
                "netlogon",
                "12345678-1234-abcd-ef00-01234567cffb",
                2,
                "NetrLogonSamLogon",
            ),
            (
                "spoolss",
                "12345678-1234-abcd-ef00-0123456789ab",
                65,
                "RpcRemoteFindFirstPrinterChangeNotificationEx",
            ),
            (
                "drsuapi",
                "e3514235-4b06-11d1-ab04-00c04fc2dcd2",
                3,
                "IDL_DRSGetNCChanges",
            ),
            (
                "netdfs",
                "4fc742e0-4a10-11cf-8273-00aa004ae673",
                13,
                "NetrDfsRemoveStdRoot",
            ),
            (
                "EFSRPC",
                "df1941c5-fe89-4e79-bf10-463657acf44d",
                4,
                "EfsRpcEncryptFileSrv",
            ),
            ("ept", "e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, "ept_map"),
        ] {
            let uuid: Uuid = uuid.parse().expect("a UUID");
            assert!(names.called(name).any(|it| it.uuid == uuid), "{name}");
            assert_eq!(names.operation(uuid, opnum), Some(operation));
        }
        assert_eq!(names.called("efsrpc").count(), 2);
        assert_eq!(
            names.operation(
                "12345778-1234-abcd-ef00-0123456789ab"
                    .parse()
                    .expect("a UUID"),
                1
            ),
            None
        );
    }

    #[test]
    fn what_is_no_table_is_refused_as_a_whole() {
        let good = "{\"name\":\"a\",\"uuid\":\"12345778-1234-abcd-ef00-0123456789ac\",\"version\":\"1.0\",\"operations\":{\"0\":\"x\"}}";
        let table = |rows: &str| format!("{{\"programs\":[],\"interfaces\":[{rows}]}}");
        assert_eq!(Names::default().read(&table(good)), Ok(()));
        for (from, to) in [
            ("12345778", "x"),
            ("\"1.0\"", "\"1\""),
            ("\"0\"", "\"65536\""),
            ("\"a\"", "\"a.b\""),
            ("\"a\"", "\"\""),
            ("{\"0\"", "[\"0\""),
        ] {
            let mut names = Names::default();
            let rows = format!("{good},{}", good.replacen(from, to, 1));
            assert!(names.read(&table(&rows)).is_err(), "{from}");
            assert_eq!(names.iter().count(), 0);
        }
    }

    #[test]
    fn a_name_that_is_not_known_has_neighbours() {
        let names = Names::standard();
        assert_eq!(names.like("efs"), ["efsrpc"]);
        assert!(names.like("netlogn").contains(&"netlogon"));
        assert!(names.like("").is_empty());
    }
}
