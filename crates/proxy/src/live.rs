//! What is in force: a configuration with all that was made of it, exchanged at once and as a whole.
//!
//! A request takes the [`State`] once and keeps it to its end, so it never sees half of a new one. A file that is wrong
//! changes nothing. The state before stays at hand for [`Live::roll_back`].

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::check;
use crate::config::place::{Faults, Source};
use crate::config::{Config, MAX_FILE};
use crate::names::Names;
use crate::policy::{Policy, Targets, compile};

/// Says which addresses a name has.
pub type Resolve<'a> = dyn FnMut(&str) -> std::io::Result<Vec<IpAddr>> + 'a;

/// A configuration and all that was made of it.
#[derive(Debug)]
pub struct State {
    /// What the file says.
    pub config: Config,
    /// The text it was read from, in which places are found.
    pub source: Source,
    /// What interfaces and operations are called.
    pub names: Names,
    /// Who may do what.
    pub policy: Policy,
    /// What can be reached.
    pub targets: Targets,
    /// Counted from 1 with each state that came into force.
    pub generation: u64,
}

impl State {
    /// Reads a file and makes everything of it; `resolve` says which addresses names of targets have.
    ///
    /// # Errors
    /// [`Faults`]: everything that is wrong with it.
    pub fn load(file: &Path, resolve: &mut Resolve<'_>) -> Result<Self, Faults> {
        let (config, source) = Config::load(file)?;
        Self::make(config, source, resolve)
    }

    /// Makes everything of a configuration.
    ///
    /// # Errors
    /// [`Faults`]: everything that is wrong with it.
    pub fn make(config: Config, source: Source, resolve: &mut Resolve<'_>) -> Result<Self, Faults> {
        let mut faults = check::faults(&config, &source);
        let names = names(&config, &source).unwrap_or_else(|more| {
            faults.extend(more.0);
            Names::standard()
        });
        let policy = compile(&config, &source, &names);
        let targets = Targets::pin(&config, &source, resolve);
        match (policy, targets) {
            (Ok(policy), Ok(targets)) if faults.is_empty() => Ok(Self {
                config,
                source,
                names,
                policy,
                targets,
                generation: 0,
            }),
            (policy, targets) => {
                faults.extend(policy.err().into_iter().flat_map(|it| it.0));
                faults.extend(targets.err().into_iter().flat_map(|it| it.0));
                faults.sort_by_key(|it| it.place.line);
                Err(Faults(faults))
            }
        }
    }
}

/// The names that are built in, and those of the tables of a configuration.
///
/// # Errors
/// [`Faults`]: a table that cannot be read.
pub fn names(config: &Config, source: &Source) -> Result<Names, Faults> {
    let mut names = Names::standard();
    let mut faults = Vec::new();
    for file in &config.policy.names {
        let text = std::fs::metadata(file).and_then(|it| match it.len() <= MAX_FILE {
            true => std::fs::read_to_string(file),
            false => Err(std::io::Error::other(format!("more than {MAX_FILE} bytes"))),
        });
        let read = text
            .map_err(|error| error.to_string())
            .and_then(|text| names.read(&text));
        if let Err(error) = read {
            let what = format!("policy.names: {}: {error}", file.display());
            faults.push(source.fault(0..0, what));
        }
    }
    match faults.is_empty() {
        true => Ok(names),
        false => Err(Faults(faults)),
    }
}

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The generation that is in force now.
    pub generation: u64,
    /// How many rules there are.
    pub rules: usize,
    /// Targets that are new.
    pub added: Vec<String>,
    /// Targets that are gone. Virtual connections to them are judged by the new rules at their next call.
    pub removed: Vec<String>,
    /// Keys that have changed and come into force with the next start only.
    pub at_next_start: Vec<&'static str>,
}

/// The state that is in force.
#[derive(Debug)]
pub struct Live {
    file: PathBuf,
    current: ArcSwap<State>,
    before: Mutex<Option<Arc<State>>>,
}

impl Live {
    /// Reads a file and puts it in force.
    ///
    /// # Errors
    /// [`Faults`]: everything that is wrong with it.
    pub fn start(file: &Path, resolve: &mut Resolve<'_>) -> Result<Self, Faults> {
        let state = State::load(file, resolve)?;
        Ok(Self::of(file, state))
    }

    /// Puts a state in force; `file` is what a reload reads.
    #[must_use]
    pub fn of(file: &Path, state: State) -> Self {
        Self {
            file: file.to_owned(),
            current: ArcSwap::from_pointee(State {
                generation: 1,
                ..state
            }),
            before: Mutex::new(None),
        }
    }

    /// The state that is in force.
    #[must_use]
    pub fn current(&self) -> Arc<State> {
        self.current.load_full()
    }

    /// Reads the file again and puts it in force, if nothing is wrong with it.
    ///
    /// # Errors
    /// [`Faults`]: everything that is wrong with it; what was in force stays.
    pub fn reload(&self, resolve: &mut Resolve<'_>) -> Result<Change, Faults> {
        let state = State::load(&self.file, resolve)?;
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current();
        let state = State {
            generation: old.generation.saturating_add(1),
            ..state
        };
        let change = changed(&old, &state);
        self.current.store(Arc::new(state));
        *before = Some(old);
        Ok(change)
    }

    /// Puts the state before in force again. A second time brings the later one back. `None`: there is none.
    pub fn roll_back(&self) -> Option<u64> {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let old = before.take()?;
        let generation = old.generation;
        *before = Some(self.current.swap(old));
        Some(generation)
    }
}

fn changed(old: &State, new: &State) -> Change {
    let names = |state: &State| {
        state
            .targets
            .iter()
            .map(|it| it.name.clone())
            .collect::<Vec<_>>()
    };
    let (before, after) = (names(old), names(new));
    let without = |list: &[String], other: &[String]| {
        list.iter()
            .filter(|it| !other.contains(it))
            .cloned()
            .collect()
    };
    let mut at_next_start = Vec::new();
    let listens = |state: &State| {
        let listeners = state.config.listeners.iter();
        listeners
            .map(|it| (it.name.get_ref().clone(), *it.endpoint.get_ref(), it.roles))
            .collect::<Vec<_>>()
    };
    if listens(old) != listens(new) {
        at_next_start.push("listen");
    }
    if old.config.audit.file != new.config.audit.file {
        at_next_start.push("audit.file");
    }
    let at = |state: &State| state.config.metrics.as_ref().map(|it| *it.listen.get_ref());
    if at(old) != at(new) {
        at_next_start.push("metrics.listen");
    }
    let peers = |state: &State| {
        let peers = state.config.peers.as_ref();
        peers.map(|it| (it.listen.get_ref().clone(), it.others.clone()))
    };
    if peers(old) != peers(new) {
        at_next_start.push("peers");
    }
    let tap = |state: &State| state.config.tap.as_ref().map(|it| it.file.clone());
    if tap(old) != tap(new) {
        at_next_start.push("tap.file");
    }
    Change {
        generation: new.generation,
        rules: new.policy.rules().len(),
        added: without(&after, &before),
        removed: without(&before, &after),
        at_next_start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(target: &str, rules: &str) -> String {
        format!(
            "[[target]]\nname = \"{target}\"\nhosts = [\"{target}.example\"]\nports = [593]\n{rules}"
        )
    }

    fn resolve(_: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec![[10, 0, 0, 1].into()])
    }

    #[test]
    fn a_file_that_is_wrong_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("proxy.toml");
        let write = |text: &str| std::fs::write(&file, text).expect("written");
        write(&text("a", ""));
        let live = Live::start(&file, &mut resolve).expect("a state");
        let first = live.current();
        assert_eq!((first.generation, live.roll_back()), (1, None));
        write(&text(
            "b",
            "[[rule]]\nname = \"r\"\naction = \"allow\"\ntargets = [\"a\"]\n",
        ));
        let faults = live.reload(&mut resolve).expect_err("no such target");
        assert!(
            faults
                .to_string()
                .contains(":8:12: rule \"r\".targets: there is no target \"a\""),
            "{faults}"
        );
        assert_eq!(live.current().generation, 1);
    }

    #[test]
    fn a_reload_is_told_and_can_be_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("proxy.toml");
        let write = |text: &str| std::fs::write(&file, text).expect("written");
        write(&text("a", ""));
        let live = Live::start(&file, &mut resolve).expect("a state");
        write(&text("b", "[metrics]\nlisten = \"127.0.0.1:9464\"\n"));
        let kept = live.current();
        let change = live.reload(&mut resolve).expect("a change");
        assert_eq!(
            (&change.added[..], &change.removed[..]),
            (&["b".to_owned()][..], &["a".to_owned()][..])
        );
        assert_eq!(
            (change.generation, &change.at_next_start[..]),
            (2, &["metrics.listen"][..])
        );
        // Who had the old one has it still.
        assert_eq!(kept.targets.iter().next().expect("one").name, "a");
        assert_eq!(live.roll_back(), Some(1));
        assert_eq!(live.current().targets.iter().next().expect("one").name, "a");
        assert_eq!(live.roll_back(), Some(2));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_in_order() {
        let text = "[[rule]]\nname = \"r\"\naction = \"allow\"\ntargets = [\"x\"]\n[[target]]\nname = \"t\"\nhosts = [\"127.1\"]\nports = [1]\n";
        let (config, source) = Config::parse(Path::new("p"), text).expect("TOML");
        let faults = State::make(config, source, &mut resolve).expect_err("two");
        let lines: Vec<usize> = faults.0.iter().map(|it| it.place.line).collect();
        assert_eq!(lines, [4, 7], "{faults}");
    }

    #[test]
    fn a_table_of_names_that_cannot_be_read_is_a_fault() {
        let (config, source) =
            Config::parse(Path::new("p"), "policy.names = [\"/no/such\"]").expect("TOML");
        let faults = State::make(config, source, &mut resolve).expect_err("no file");
        assert!(
            faults
                .to_string()
                .contains("policy.names: /no/such: No such file"),
            "{faults}"
        );
    }
}
