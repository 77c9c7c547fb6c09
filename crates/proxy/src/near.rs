//! Did you mean …? Names that are spelled almost like the one that was not found.

/// The names closest to `wanted`, best first: at most three, none that is too different.
#[must_use]
pub fn near<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let limit = (wanted.chars().count() / 3).max(1);
    let rank = |name: &'a str| {
        let lower = name.to_lowercase();
        let part = wanted.len() >= 3 && (lower.contains(&wanted) || wanted.contains(&lower));
        let edits = distance(&wanted, &lower);
        (part || edits <= limit).then_some((edits, name))
    };
    let mut found: Vec<(usize, &str)> = names.into_iter().filter_map(rank).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// `did you mean a, b or c?`, if there is something to mean.
#[must_use]
pub fn did_you_mean<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    match near(wanted, names).as_slice() {
        [] => None,
        [one] => Some(format!("did you mean {one}?")),
        [most @ .., last] => Some(format!("did you mean {} or {last}?", most.join(", "))),
    }
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j - 1] + changed).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted() {
        for (a, b, edits) in [
            ("", "abc", 3),
            ("add", "add", 0),
            ("ad", "add", 1),
            ("dad", "add", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_close_is_meant() {
        let names = ["ADD", "DIVIDE", "SUM", "MEAN"];
        assert_eq!(near("dvide", names), ["DIVIDE"]);
        assert_eq!(
            near("READ", ["NFSPROC3_READ", "NFSPROC3_WRITE"]),
            ["NFSPROC3_READ"]
        );
        assert!(near("GETATTR", names).is_empty());
        assert_eq!(did_you_mean("ad", names).unwrap(), "did you mean ADD?");
    }
}
