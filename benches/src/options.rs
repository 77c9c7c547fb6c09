//! `--name value` pairs and flags, for the command and for the roles it starts.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::unistd::Pid;

use crate::pace::Timing;

/// What follows the role's name, or the command's own arguments.
pub(crate) struct Options {
    pairs: Vec<(String, String)>,
    flags: Vec<String>,
    /// Arguments without dashes.
    pub(crate) words: Vec<String>,
}

impl Options {
    /// Splits `arguments`; names in `flags` take no value.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>, flags: &[&str]) -> Result<Self> {
        let mut all = Self {
            pairs: Vec::new(),
            flags: Vec::new(),
            words: Vec::new(),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                None => all.words.push(argument),
                Some(name) if flags.contains(&name) => all.flags.push(name.to_owned()),
                Some(name) => {
                    let value = arguments
                        .next()
                        .with_context(|| format!("--{name} needs a value"))?;
                    all.pairs.push((name.to_owned(), value));
                }
            }
        }
        Ok(all)
    }

    /// Refuses names that nothing reads.
    pub(crate) fn only(&self, known: &[&str]) -> Result<()> {
        match self
            .pairs
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            Some((name, _)) => bail!("unknown option --{name}"),
            None => Ok(()),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }

    pub(crate) fn value<T: FromStr>(&self, name: &str) -> Result<Option<T>>
    where
        T::Err: std::fmt::Display,
    {
        let Some((_, text)) = self.pairs.iter().find(|(known, _)| known == name) else {
            return Ok(None);
        };
        let value = text
            .parse()
            .map_err(|error| anyhow!("--{name} {text}: {error}"))?;
        Ok(Some(value))
    }

    pub(crate) fn required<T: FromStr>(&self, name: &str) -> Result<T>
    where
        T::Err: std::fmt::Display,
    {
        self.value(name)?
            .with_context(|| format!("--{name} is missing"))
    }

    /// The clock a client role runs by.
    pub(crate) fn timing(&self) -> Result<Timing> {
        let milliseconds = |name| Ok::<_, anyhow::Error>(self.value(name)?.unwrap_or(0));
        Ok(Timing {
            warm: Duration::from_millis(milliseconds("warm")?),
            measure: Duration::from_millis(milliseconds("measure")?),
            calls: self.value("calls")?,
            server: Pid::from_raw(self.required("server")?),
        })
    }
}
