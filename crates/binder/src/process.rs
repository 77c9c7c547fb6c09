//! Which process registered something, and whether it still runs.
//!
//! A process is its number and the moment it began, as `proc(5)` tells them: numbers are used again. Nothing here
//! asks who the process belongs to.

use std::io::ErrorKind;

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// When it began, in the kernel's ticks since this machine was started.
    pub began: u64,
}

/// The field of `/proc/PID/stat` that says when a process began, counted behind the name.
const BEGAN: usize = 19;

impl Process {
    /// A process that does not run any more, whichever it was.
    pub const GONE: Self = Self { id: 0, began: 0 };

    /// The process that has this number now; `None` if there is none that we can see.
    #[must_use]
    pub fn of(id: i32) -> Option<Self> {
        let id = u32::try_from(id).ok().filter(|id| *id != 0)?;
        let began = began(id).ok().flatten()?;
        Some(Self { id, began })
    }

    /// Whether it runs no more. If that cannot be known, it runs.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match began(self.id) {
            Ok(began) => began != Some(self.began),
            Err(_) => false,
        }
    }
}

/// When the process with this number began, if there is one.
fn began(id: u32) -> std::io::Result<Option<u64>> {
    let stat = match std::fs::read_to_string(format!("/proc/{id}/stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // The name stands in parentheses and may hold anything, parentheses too.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields);
    let field = fields.and_then(|fields| fields.split_whitespace().nth(BEGAN));
    Ok(field.and_then(|text| text.parse().ok()))
}

/// What is different each time this machine is started; empty if the system does not say.
#[must_use]
pub fn boot() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    told.map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_runs_until_it_is_over() {
        let ours = i32::try_from(std::process::id()).expect("a small number");
        let ours = Process::of(ours).expect("we run");
        assert!(!ours.is_gone());
        let earlier = Process {
            began: ours.began + 1,
            ..ours
        };
        assert!(earlier.is_gone(), "the number is another process's now");
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("start sleep");
        let other = i32::try_from(child.id()).expect("a small number");
        let other = Process::of(other).expect("it runs");
        assert!(!other.is_gone());
        child.kill().expect("end it");
        child.wait().expect("it ends");
        assert!(other.is_gone());
        assert!(Process::GONE.is_gone());
        assert_eq!((Process::of(0), Process::of(-1)), (None, None));
    }
}
