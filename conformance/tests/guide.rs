//! The guide and the other documents say what is so: what they quote stands where they say, links
//! lead somewhere, tables agree with the code.

use std::fs;
use std::path::{Path, PathBuf};

use farcall::Limits;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of the root and of the guide.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [root(), root().join("docs"), root().join("examples")] {
        let entries = fs::read_dir(folder)
            .expect("list")
            .map(|entry| entry.expect("list").path());
        found.extend(entries.filter(|path| path.extension().is_some_and(|kind| kind == "md")));
    }
    assert!(found.len() >= 10, "{found:?}");
    found
}

#[test]
fn quotations_are_true() {
    let mut count = 0;
    for path in documents() {
        let text = read(&path);
        for part in text.split("<!-- quoted from ").skip(1) {
            let (source, rest) = part.split_once(" -->").expect("a path");
            let (_, rest) = rest.split_once("```").expect("a block");
            let (_, rest) = rest.split_once('\n').expect("a block");
            let (block, _) = rest.split_once("```").expect("its end");
            let whole = read(&root().join(source));
            assert!(
                whole.contains(block),
                "{} quotes {source} wrongly:\n{block}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count >= 5, "{count} quotations");
}

#[test]
fn links_lead_somewhere() {
    for path in documents() {
        let text = read(&path);
        for part in text.split("](").skip(1) {
            let (target, _) = part.split_once(')').expect("a link's end");
            let file = target.split_once('#').map_or(target, |(file, _)| file);
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let there = path.parent().expect("a folder").join(file);
            assert!(there.exists(), "{}: no {target}", path.display());
        }
    }
}

#[test]
fn the_summary_lists_every_page() {
    let summary = read(&root().join("docs/SUMMARY.md"));
    for path in documents() {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let in_guide = path.parent().is_some_and(|folder| folder.ends_with("docs"));
        assert!(
            !in_guide || name == "SUMMARY.md" || summary.contains(&name),
            "{name}"
        );
    }
}

#[test]
fn the_table_of_limits_has_the_defaults() {
    let reference = read(&root().join("docs/reference.md"));
    let limits = Limits::default();
    let seconds = |time: std::time::Duration| format!("{} s", time.as_secs());
    let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
    let rows = [
        format!("| `record` | {} |", mib(limits.record as usize)),
        format!("| `fragments` | {} |", limits.fragments),
        format!("| `datagram` | {} bytes |", limits.datagram),
        format!("| `calls` | {} |", limits.calls),
        format!("| `arguments` | {} |", mib(limits.arguments)),
        format!("| `write_queue` | {} |", mib(limits.write_queue)),
        format!("| `write_stall` | {} |", seconds(limits.write_stall)),
        format!("| `idle` | {} min |", limits.idle.as_secs() / 60),
        format!("| `idle_held` | {} h |", limits.idle_held.as_secs() / 3600),
        format!("| `partial` | {} |", seconds(limits.partial)),
        format!("| `fragment` | {} bytes |", limits.fragment),
        format!("| `stub` | {} |", mib(limits.stub)),
        format!("| `pipe` | {} KiB |", limits.pipe >> 10),
        format!(
            "| `pipe_stall` | {} min |",
            limits.pipe_stall.as_secs() / 60
        ),
        format!("| `contexts` | {} |", limits.contexts),
        format!("| `auth_contexts` | {} |", limits.auth_contexts),
        format!("| `handles` | {} |", limits.handles),
        format!("| `memory` | {} |", mib(limits.memory)),
        format!("| `depth` | {} |", limits.depth),
        format!("| `pairing` | {} |", seconds(limits.pairing)),
        format!("| `unpaired` | {} |", limits.unpaired),
        format!("| `window` | {} KiB |", limits.window >> 10),
        format!(
            "| `keep_alive`, `user_timeout` | {} |",
            seconds(limits.keep_alive)
        ),
    ];
    for row in rows {
        assert!(reference.contains(&row), "no row {row}");
    }
    assert_eq!(
        (limits.connections, limits.connections_per_source),
        (10_000, 1000)
    );
    assert_eq!(limits.keep_alive, limits.user_timeout);
}

/// The number in the last cell of a row of a table.
fn count(row: &str) -> Option<(&str, usize)> {
    let mut cells = row.trim_matches('|').split('|').map(str::trim);
    let (name, number) = (cells.next()?, cells.next()?);
    Some((name, number.parse().ok()?))
}

#[test]
fn the_table_of_peers_claims_no_more_cases_than_there_are() {
    let page = read(&root().join("docs/interop.md"));
    let cases = read(&root().join("conformance/interop.toml"));
    let mut counted = std::collections::BTreeMap::new();
    let mut peer = String::new();
    for line in cases.lines() {
        if let Some(name) = line.strip_prefix("[peer.") {
            name.trim_matches(['"', ']']).clone_into(&mut peer);
        } else if line.starts_with("[[left_out]]") {
            peer.clear();
        } else if !peer.is_empty() {
            let one = line.matches('"').count() / 2;
            *counted.entry(peer.clone()).or_insert(0) += one;
        }
    }
    let mut rows = 0;
    for (name, number) in page.lines().filter_map(count) {
        let there = match name {
            "all" => counted.values().sum(),
            name => counted.get(name).copied().unwrap_or(0),
        };
        assert!(number <= there, "{name}: {number}, and there are {there}");
        rows += 1;
    }
    assert!(rows > 10, "{rows} rows");
}

#[test]
fn every_feature_that_is_claimed_is_shown_by_a_test_that_exists() {
    let page = read(&root().join("docs/interop.md"));
    let (_, features) = page.split_once("feature by feature").expect("the table");
    let mut shown = 0;
    for row in features.lines().filter(|line| line.starts_with("| ")) {
        let named: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if cells.get(3).is_some_and(|mark| ["Y", "p"].contains(mark)) {
            assert!(!named.is_empty(), "{row}");
        }
        for place in named {
            let (file, test) = place.split_once("::").unwrap_or((place, ""));
            let text = read(&root().join(file));
            assert!(
                test.is_empty() || text.contains(&format!("fn {test}(")),
                "{place}"
            );
            shown += 1;
        }
    }
    assert!(shown > 60, "{shown} places");
}
