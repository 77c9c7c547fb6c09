//! Runs other programs: what they print is passed on, and kept where a step counts it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A command that runs at the root of the workspace.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace::root());
    command
}

/// The `cargo` that runs us, at the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    command(&program, arguments)
}

/// Runs a command, passing on what it prints.
///
/// # Errors
/// When it cannot be started or ends with another code than 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let status = command
        .status()
        .with_context(|| format!("start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a command, passing on what it prints and keeping it: whether it succeeded, and its
/// standard output and error in the order in which they came.
pub(crate) fn tee(command: &mut Command) -> Result<(bool, String)> {
    println!("$ {}", shown(command));
    keep(command, true)
}

/// Like [`tee`], without passing anything on.
pub(crate) fn tee_quietly(command: &mut Command) -> Result<(bool, String)> {
    keep(command, false)
}

/// Runs a command and keeps what it prints; with `aloud` it is passed on as well.
fn keep(command: &mut Command, aloud: bool) -> Result<(bool, String)> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("start {}", shown(command)))?;
    let kept = Arc::new(Mutex::new(String::new()));
    let copies = [
        child
            .stdout
            .take()
            .map(|pipe| copy(pipe, Arc::clone(&kept), aloud)),
        child
            .stderr
            .take()
            .map(|pipe| copy(pipe, Arc::clone(&kept), aloud)),
    ];
    for handle in copies.into_iter().flatten() {
        // A copier ends with its pipe; it has nothing to report.
        let _ = handle.join();
    }
    let status = child.wait()?;
    let text = kept.lock().map(|text| text.clone()).unwrap_or_default();
    Ok((status.success(), text))
}

/// Copies lines from a pipe to `kept`, and `aloud` to our standard output, until the pipe ends.
fn copy(
    pipe: impl Read + Send + 'static,
    kept: Arc<Mutex<String>>,
    aloud: bool,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).into_owned();
            if aloud {
                let mut out = std::io::stdout().lock();
                // Nobody reads our output any more: the step's own result still counts.
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            }
            if let Ok(mut kept) = kept.lock() {
                kept.push_str(&text);
            }
            line.clear();
        }
    })
}

/// Whether a program can be started at all.
pub(crate) fn exists(program: &str, arguments: &[&str]) -> bool {
    let mut command = command(program, arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command as a person would type it.
fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    if let Some(name) = std::path::Path::new(&words[0]).file_name() {
        words[0] = name.to_string_lossy().into_owned();
    }
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// Whether this is a run of continuous integration, where nothing may be skipped.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
