//! Pipes of a call that are files: `"@PATH"` in the place of their elements.
//!
//! A pipe of bytes is the file as it is; of others a line has one element in JSON. Neither way is more in memory than the
//! window of the call. `-` is standard input, or standard output.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use farcall::pipe::{self, Source};
use farcall::stub::Sources;
use farcall_idl::dynamic::ndr::{Element, Elements, Piped};
use farcall_wire::ndr::Plain;
use serde_json::{Map, Value, json};

use crate::output::{Failure, Output};
use crate::value;

/// Bytes that are read from a file at once.
const CHUNK: usize = 64 << 10;

/// Elements that are read from a file at once.
const LINES: usize = 512;

/// How often it is said how far a file has come.
const EVERY: Duration = Duration::from_millis(200);

/// What becomes of the pipes of a call, taken out of its arguments.
pub(crate) struct Pipes {
    /// Of pipes that go, in their order, the elements or the file with them.
    going: Vec<(Piped<'static>, Value)>,
    /// Of pipes that come, in their order, the file that they go to.
    coming: Vec<(Piped<'static>, Option<String>)>,
}

/// Puts what files hold in the place of the pipes that name them, for messages that are made at once: of the pipes that
/// go in (or, if `comes`, come back). A pipe that does both says `{"in": …, "out": …}`.
pub(crate) fn whole(
    pipes: &[Piped<'_>],
    comes: bool,
    arguments: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let half = if comes { "out" } else { "in" };
    for piped in pipes {
        let parameter = piped.parameter;
        let Some(given) = arguments.get_mut(&parameter.name) else {
            continue;
        };
        if let (true, true, Value::Object(halves)) =
            (parameter.is_in, parameter.is_out, &mut *given)
            && (halves.contains_key("in") || halves.contains_key("out"))
        {
            *given = halves
                .remove(half)
                .unwrap_or_else(|| Value::Array(Vec::new()));
        }
        if let Some(path) = path(given) {
            *given = held(path, piped.elements.are_bytes())?;
        }
    }
    Ok(())
}

/// What a file holds: bytes, or a line of JSON for each element.
fn held(path: &str, are_bytes: bool) -> Result<Value, Failure> {
    let bytes = value::read(Path::new(path))?;
    if are_bytes {
        return Ok(json!({ "$hex": value::to_hex(&bytes) }));
    }
    let unfit = |error: &dyn std::fmt::Display| Failure::new(format!("{path}: {error}"));
    let text = std::str::from_utf8(&bytes).map_err(|error| unfit(&error))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let elements = lines.map(|line| serde_json::from_str(line).map_err(|error| unfit(&error)));
    elements.collect::<Result<_, _>>().map(Value::Array)
}

/// The path in `"@PATH"`.
fn path(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix('@')
}

impl Pipes {
    /// Takes the pipes out of the arguments of a call; nothing if none of them is a file.
    pub(crate) fn take(
        pipes: Vec<Piped<'static>>,
        arguments: &mut Map<String, Value>,
    ) -> Result<Option<Self>, Failure> {
        let is_file = |piped: &Piped<'_>| {
            let given = arguments.get(&piped.parameter.name);
            given.is_some_and(|it| {
                path(it).is_some()
                    || it.get("out").is_some_and(|it| path(it).is_some())
                    || it.get("in").is_some_and(|it| path(it).is_some())
            })
        };
        if !pipes.iter().any(is_file) {
            return Ok(None);
        }
        let (mut going, mut coming) = (Vec::new(), Vec::new());
        for piped in pipes {
            let parameter = piped.parameter;
            let given = arguments.remove(&parameter.name).unwrap_or_default();
            // A pipe that goes and comes says both.
            let half = |name: &str| match (parameter.is_in && parameter.is_out, &given) {
                (true, Value::Object(halves))
                    if halves.contains_key("in") || halves.contains_key("out") =>
                {
                    halves.get(name).cloned().unwrap_or_default()
                }
                (true, _) if name == "out" => Value::Null,
                _ => given.clone(),
            };
            if parameter.is_in {
                going.push((piped.clone(), half("in")));
            }
            if parameter.is_out {
                let file = match half("out") {
                    Value::Null => None,
                    value => Some(path(&value).map(str::to_owned).ok_or_else(|| {
                        Failure::new(format!("{} comes back: it is no argument", parameter.name))
                            .hint("\"@PATH\" there says which file it goes to")
                    })?),
                };
                coming.push((piped, file));
            }
        }
        Ok(Some(Self { going, coming }))
    }

    /// Whether some of them come.
    pub(crate) fn come(&self) -> bool {
        !self.coming.is_empty()
    }

    /// What goes.
    pub(crate) fn sources(&mut self, out: &Output) -> anyhow::Result<Sources> {
        let mut sources = Sources::new();
        for (piped, given) in std::mem::take(&mut self.going) {
            let (name, elements) = (&piped.parameter.name, piped.elements);
            let Some(path) = path(&given) else {
                let given = match given {
                    Value::Null => Value::Array(Vec::new()),
                    given => given,
                };
                let all = elements.elements(&given);
                let all = all.map_err(|error| value::misfit(&format!("pipe {name}"), &error))?;
                sources = sources.with(Source::from(all), move |flow, items| {
                    elements.put(items, flow)
                });
                continue;
            };
            let (mut file, progress) = (open(path)?, Progress::new(name, out));
            sources = match elements.are_bytes() {
                true => {
                    let mut progress = progress;
                    let chunks =
                        std::iter::from_fn(move || chunk(&mut file, &mut progress).transpose());
                    sources.with(Source::try_chunks(chunks), |flow, items: &[u8]| {
                        flow.items(Plain, items)
                    })
                }
                false => {
                    let (reader, mut progress) = (elements.clone(), progress);
                    let chunks = std::iter::from_fn(move || {
                        lines(&mut file, &reader, &mut progress).transpose()
                    });
                    sources.with(Source::try_chunks(chunks), move |flow, items| {
                        elements.put(items, flow)
                    })
                }
            };
        }
        Ok(sources)
    }

    /// Reads what comes, each pipe to its file or to what is given.
    pub(crate) async fn receive(
        self,
        received: &pipe::Received,
        out: &Output,
    ) -> anyhow::Result<Map<String, Value>> {
        let mut members = Map::new();
        for (at, (piped, file)) in self.coming.into_iter().enumerate() {
            let (name, elements) = (piped.parameter.name.clone(), piped.elements);
            let value = match &file {
                None => {
                    let mut pipe = received.pipe(at, move |flow| elements.take(flow));
                    Value::Array(pipe.collect().await?)
                }
                Some(path) => {
                    let (mut file, mut progress) = (create(path)?, Progress::new(&name, out));
                    match elements.are_bytes() {
                        true => {
                            let pipe = received.pipe(at, |flow| flow.next::<u8, _>(Plain));
                            save(pipe, path, &mut progress, |items| file.write_all(&items)).await?;
                        }
                        false => {
                            let pipe = received.pipe(at, move |flow| elements.take(flow));
                            let mut line = |item: Value| writeln!(file, "{item}");
                            save(pipe, path, &mut progress, |items| {
                                items.into_iter().try_for_each(&mut line)
                            })
                            .await?;
                        }
                    }
                    file.flush().map_err(|error| written(path, &error))?;
                    Value::String(format!("@{path}"))
                }
            };
            members.insert(name, value);
        }
        Ok(members)
    }
}

async fn save<T>(
    mut pipe: pipe::Elements<T>,
    path: &str,
    progress: &mut Progress,
    mut write: impl FnMut(Vec<T>) -> io::Result<()>,
) -> anyhow::Result<()> {
    while let Some(items) = pipe.next().await? {
        let count = items.len();
        write(items).map_err(|error| written(path, &error))?;
        progress.add(count);
    }
    progress.end();
    Ok(())
}

fn written(path: &str, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {path}: {error}"))
}

fn open(path: &str) -> Result<Box<dyn BufRead + Send>, Failure> {
    if path == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path);
    let file = file.map_err(|error| Failure::new(format!("cannot read {path}: {error}")))?;
    Ok(Box::new(BufReader::new(file)))
}

fn create(path: &str) -> Result<Box<dyn Write + Send>, Failure> {
    if path == "-" {
        return Ok(Box::new(BufWriter::new(io::stdout())));
    }
    let file = File::create(path).map_err(|error| written(path, &error))?;
    Ok(Box::new(BufWriter::new(file)))
}

/// The next bytes of a file; nothing at its end.
fn chunk(file: &mut impl Read, progress: &mut Progress) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; CHUNK];
    let len = file.read(&mut bytes)?;
    bytes.truncate(len);
    progress.add(len);
    if len == 0 {
        progress.end();
    }
    Ok((len > 0).then_some(bytes))
}

/// The next elements of a file; nothing at its end.
fn lines(
    file: &mut impl BufRead,
    elements: &Elements<'_>,
    progress: &mut Progress,
) -> Result<Option<Vec<Element>>, String> {
    let mut items = Vec::new();
    let mut line = String::new();
    while items.len() < LINES {
        line.clear();
        let len = file
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        if len == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        items.push(
            elements
                .element(&value)
                .map_err(|error| error.to_string())?,
        );
    }
    progress.add(items.len());
    if items.is_empty() {
        progress.end();
    }
    Ok((!items.is_empty()).then_some(items))
}

/// How far a file has come, for a person who watches.
struct Progress {
    name: String,
    count: usize,
    said: Instant,
    watched: bool,
}

impl Progress {
    fn new(name: &str, out: &Output) -> Self {
        Self {
            name: name.to_owned(),
            count: 0,
            said: Instant::now(),
            watched: out.is_watched() && !out.is_json(),
        }
    }

    fn add(&mut self, count: usize) {
        self.count = self.count.saturating_add(count);
        if self.watched && self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            eprint!("\r{}: {}", self.name, self.count);
        }
    }

    fn end(&self) {
        if self.watched {
            eprintln!("\r{}: {}", self.name, self.count);
        }
    }
}
