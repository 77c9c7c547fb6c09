//! Names of users' own programs: the table that `farcall gen --names` writes.
//!
//! Numbers are what travels; names are for people. Generated code carries its own; a listing of a
//! binder or a proxy that forwards strangers' calls has only numbers, and this table for them. It
//! is JSON, so that anything can read it: `programs` of ONC RPC, `interfaces` of DCE/RPC.

use std::path::{Path, PathBuf};

use farcall_idl::Model;
use farcall_wire::Uuid;
use serde_json::{Map, Value, json};

use crate::interfaces;
use crate::output::Failure;
use crate::programs;

/// Tables of names that a user has given.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Tables {
    /// Names of programs, as `farcall gen --names` writes them; may repeat
    #[arg(long = "names", value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Names of programs and interfaces: those that were given, then the well-known ones.
#[derive(Debug, Default)]
pub(crate) struct Names {
    programs: Vec<(u32, String)>,
    interfaces: Vec<(Uuid, String)>,
}

impl Tables {
    /// Reads the tables.
    pub(crate) fn load(&self) -> Result<Names, Failure> {
        let mut names = Names::default();
        for file in &self.files {
            names.read(file)?;
        }
        Ok(names)
    }
}

impl Names {
    fn read(&mut self, file: &Path) -> Result<(), Failure> {
        let shown = file.display();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::new(format!("cannot read {shown}: {error}")))?;
        let table: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("{shown} is no table of names: {error}")))?;
        let programs = table["programs"].as_array().ok_or_else(|| {
            Failure::new(format!("{shown} is no table of names: it has no programs"))
                .hint("farcall gen --names FILE.x writes one")
        })?;
        let named = programs.iter().filter_map(|program| {
            let number = u32::try_from(program["number"].as_u64()?).ok()?;
            Some((number, program["name"].as_str()?.to_owned()))
        });
        self.programs.extend(named);
        let interfaces = table["interfaces"].as_array();
        let named = interfaces.into_iter().flatten().filter_map(|interface| {
            let uuid = interface["uuid"].as_str()?.parse().ok()?;
            Some((uuid, interface["name"].as_str()?.to_owned()))
        });
        self.interfaces.extend(named);
        Ok(())
    }

    /// The name of a program, if it has one.
    pub(crate) fn program(&self, number: u32) -> Option<&str> {
        let given = self.programs.iter().find(|(known, _)| *known == number);
        given
            .map(|(_, name)| name.as_str())
            .or_else(|| programs::name(number))
    }

    /// The name of an interface, if it has one.
    pub(crate) fn interface(&self, uuid: Uuid) -> Option<&str> {
        let given = self.interfaces.iter().find(|(known, _)| *known == uuid);
        given
            .map(|(_, name)| name.as_str())
            .or_else(|| interfaces::name(uuid))
    }
}

/// The table of these files: programs, versions and procedures by rising number, interfaces by name.
pub(crate) fn table<'m>(models: impl Iterator<Item = &'m Model> + Clone) -> Value {
    let mut programs = Vec::new();
    for program in models.clone().flat_map(Model::programs) {
        let versions = program.versions.iter().map(|version| {
            let mut procedures: Vec<_> = version.procedures.iter().collect();
            procedures.sort_by_key(|procedure| procedure.number);
            let named = procedures
                .into_iter()
                .map(|it| (it.number.to_string(), Value::from(it.name.as_str())));
            json!({
                "number": version.number,
                "name": version.name,
                "procedures": named.collect::<Map<_, _>>(),
            })
        });
        programs.push(json!({
            "number": program.number,
            "name": program.name,
            "versions": versions.collect::<Vec<_>>(),
        }));
    }
    programs.sort_by_key(|program| program["number"].as_u64());
    json!({ "programs": programs, "interfaces": called(models) })
}

/// Interfaces that can be called, those of imported files left out, with their operations by number.
fn called<'m>(models: impl Iterator<Item = &'m Model>) -> Vec<Value> {
    let all = models.flat_map(|model| model.ndr().interfaces());
    let mut rows: Vec<Value> = all
        .filter(|(_, interface)| !interface.imported && !interface.local)
        .filter_map(|(_, interface)| {
            let (major, minor) = interface.version;
            let operations = interface.operations.iter();
            let named = operations.map(|it| (it.opnum.to_string(), Value::from(it.name.as_str())));
            Some(json!({
                "name": interface.name,
                "uuid": interface.uuid?.to_string(),
                "version": format!("{major}.{minor}"),
                "operations": named.collect::<Map<_, _>>(),
            }))
        })
        .collect();
    rows.sort_by_key(|row| row["name"].as_str().map(str::to_owned));
    rows
}
