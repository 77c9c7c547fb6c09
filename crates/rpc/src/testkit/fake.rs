//! A server that only pretends: an interface file, and the answers a test gives it, as JSON.
//!
//! The JSON is that of `farcall call`. A procedure without an answer is refused with
//! `PROC_UNAVAIL`; arguments that the interface does not allow with `GARBAGE_ARGS`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farcall_idl::dynamic::Codec;
use farcall_idl::{Model, Options, model};
use farcall_wire::Reader;
use serde_json::Value;

use crate::call::{Call, Refuse};
use crate::error::{Error, Phase};
use crate::program::{Procedure, Program};
use crate::stub::{Raw, Registered, Reply, Service};

/// What a procedure answers.
type Answer = Arc<dyn Fn(&Value) -> Result<Value, Refuse> + Send + Sync>;

/// A server made of an interface file and answers; its clones are the same server.
#[derive(Clone)]
pub struct Fake {
    model: Arc<Model>,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, Answer>,
    calls: Vec<(String, Value)>,
}

impl Fake {
    /// A fake of the programs in an interface file. No procedure has an answer yet.
    ///
    /// # Errors
    /// The file cannot be read, or is no interface; its diagnostics are in the error's text.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (model, _) = farcall_idl::parse_file(path.as_ref(), &Options::default())
            .map_err(|diagnostics| Error::local(Phase::Serve, diagnostics.to_string()))?;
        Ok(Self {
            model: Arc::new(model),
            script: Arc::default(),
        })
    }

    /// `procedure` answers `result` to whatever arguments.
    #[must_use]
    pub fn answer(self, procedure: &str, result: Value) -> Self {
        self.answer_with(procedure, move |_| Ok(result.clone()))
    }

    /// `procedure` answers what `answer` makes of its arguments.
    #[must_use]
    pub fn answer_with(
        self,
        procedure: &str,
        answer: impl Fn(&Value) -> Result<Value, Refuse> + Send + Sync + 'static,
    ) -> Self {
        self.script()
            .answers
            .insert(procedure.to_owned(), Arc::new(answer));
        self
    }

    /// `procedure` is refused.
    #[must_use]
    pub fn refuse(self, procedure: &str, refusal: Refuse) -> Self {
        self.answer_with(procedure, move |_| Err(refusal.clone()))
    }

    /// The calls that came, in order: procedure and arguments.
    pub fn calls(&self) -> Vec<(String, Value)> {
        self.script().calls.clone()
    }

    /// The services to put into a server: one for each version of each program in the file.
    ///
    /// Each leaks the few bytes that describe it: a program's description lives as long as the
    /// process, and a fake is made for a test.
    pub fn services(&self) -> Vec<Registered> {
        let programs = self.model.programs().iter();
        let versions = programs.flat_map(|p| p.versions.iter().map(move |v| (p, v)));
        versions
            .map(|(program, version)| self.service(program, version))
            .collect()
    }

    fn service(&self, program: &model::Program, version: &model::Version) -> Registered {
        let program = Box::leak(Box::new(describe(program, version)));
        Registered::new(Pretender {
            fake: self.clone(),
            program,
            version: version.clone(),
        })
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fake")
            .field("calls", &self.script().calls.len())
            .finish_non_exhaustive()
    }
}

/// The description that generated code would have as a constant.
fn describe(program: &model::Program, version: &model::Version) -> Program {
    let procedures = version.procedures.iter().map(|procedure| Procedure {
        number: procedure.number,
        name: leak(&procedure.name),
        idempotent: procedure.properties.idempotent,
        blocking: procedure.properties.blocking,
    });
    Program {
        number: program.number,
        version: version.number,
        name: leak(&program.name),
        version_name: leak(&version.name),
        procedures: procedures.collect::<Vec<_>>().leak(),
    }
}

fn leak(name: &str) -> &'static str {
    name.to_owned().leak()
}

/// One version of one program, pretended.
struct Pretender {
    fake: Fake,
    program: &'static Program,
    version: model::Version,
}

impl Service for Pretender {
    fn program(&self) -> &'static Program {
        self.program
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut Reader<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), Refuse> {
        let procedures = &self.version.procedures;
        let found = procedures.iter().find(|p| p.number == call.procedure());
        let procedure = found.ok_or(Refuse::ProcUnavail)?;
        let codec = Codec::new(&self.fake.model);
        let packed = arguments.take_rest()?;
        let arguments = codec
            .decode_arguments(procedure, &packed)
            .map_err(|_| Refuse::GarbageArgs)?;
        let answer = {
            let mut script = self.fake.script();
            script
                .calls
                .push((procedure.name.clone(), arguments.clone()));
            script.answers.get(&procedure.name).cloned()
        };
        let result = answer.ok_or(Refuse::ProcUnavail)?(&arguments)?;
        let packed = codec
            .encode_result(procedure, &result)
            .map_err(|error| Refuse::SystemErr(format!("the fake's answer: {error}")))?;
        reply.encode(&Raw(&packed))
    }
}
