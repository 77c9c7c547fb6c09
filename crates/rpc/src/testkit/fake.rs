//! A server that only pretends: an interface file, and the answers a test gives it, as JSON.
//!
//! The JSON is that of `farcall call`. A procedure without an answer is refused with
//! `PROC_UNAVAIL` (an operation with `nca_s_op_rng_error`); arguments that the interface does not
//! allow with `GARBAGE_ARGS` (or `RPC_X_BAD_STUB_DATA`).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farcall_idl::dynamic::Codec;
use farcall_idl::dynamic::ndr::Codec as NdrCodec;
use farcall_idl::{Model, Options, model};
use farcall_wire::{Reader, ndr};
use serde_json::Value;

use crate::call::{Call, Refuse};
use crate::error::{Error, Phase};
use crate::program::{Procedure, Program};
use crate::stub::{
    AuthLevel, Interface, NdrReply, Operation, Operations, Raw, Registered, Reply, Service,
};

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
    /// A fake of the programs in a `.x` file, or of the interfaces in an `.idl` file. No procedure
    /// has an answer yet.
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

    /// The services to put into a server: one for each version of each program in the file, and
    /// one for each interface that is not of an imported file. Interfaces take anybody at any
    /// level.
    ///
    /// Each leaks the few bytes that describe it: a program's description lives as long as the
    /// process, and a fake is made for a test.
    pub fn services(&self) -> Vec<Registered> {
        let programs = self.model.programs().iter();
        let versions = programs.flat_map(|p| p.versions.iter().map(move |v| (p, v)));
        let programs = versions.map(|(program, version)| self.service(program, version));
        let interfaces = self
            .model
            .ndr()
            .interfaces()
            .map(|(_, interface)| interface);
        let own = interfaces.filter(|interface| !interface.imported && !interface.local);
        programs
            .chain(own.filter_map(|interface| self.interface_service(interface)))
            .collect()
    }

    fn interface_service(&self, interface: &model::ndr::Interface) -> Option<Registered> {
        let described: &'static Interface = Box::leak(Box::new(describe_interface(interface)?));
        let pretender = InterfacePretender {
            fake: self.clone(),
            described,
            interface: interface.clone(),
        };
        let service = Registered::interface(pretender);
        Some(service.allow_anonymous().auth_floor(AuthLevel::CONNECT))
    }

    /// Notes a call and looks up its answer.
    fn asked(&self, procedure: &str, arguments: &Value) -> Result<Value, Refuse> {
        let answer = {
            let mut script = self.script();
            let noted = (procedure.to_owned(), arguments.clone());
            script.calls.push(noted);
            script.answers.get(procedure).cloned()
        };
        answer.ok_or(Refuse::ProcUnavail)?(arguments)
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
        let result = self.fake.asked(&procedure.name, &arguments)?;
        let packed = codec
            .encode_result(procedure, &result)
            .map_err(|error| Refuse::SystemErr(format!("the fake's answer: {error}")))?;
        reply.encode(&Raw(&packed))
    }
}

/// The description that generated code would have as a constant; nothing for an interface that
/// has no identity.
fn describe_interface(interface: &model::ndr::Interface) -> Option<Interface> {
    let operations = interface.operations.iter().map(|operation| Operation {
        in_pipes: 0,
        out_pipes: 0,
        opnum: operation.opnum,
        name: leak(&operation.name),
        idempotent: operation.idempotent,
        blocking: false,
        broadcast: operation.broadcast,
        maybe: operation.maybe,
    });
    Some(Interface {
        uuid: interface.uuid?,
        major: interface.version.0,
        minor: interface.version.1,
        name: leak(&interface.name),
        operations: operations.collect::<Vec<_>>().leak(),
        endpoints: &[],
    })
}

/// An interface, pretended.
struct InterfacePretender {
    fake: Fake,
    described: &'static Interface,
    interface: model::ndr::Interface,
}

impl Operations for InterfacePretender {
    fn interface(&self) -> &'static Interface {
        self.described
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut ndr::Reader<'_>,
        reply: &mut NdrReply<'_>,
    ) -> Result<(), Refuse> {
        let operations = &self.interface.operations;
        let found = operations.iter().find(|it| it.opnum == call.opnum());
        let operation = found.ok_or(Refuse::ProcUnavail)?;
        let mode = arguments.mode();
        let codec = NdrCodec::new(&self.fake.model)
            .syntax(mode.syntax)
            .order(mode.order);
        let arguments = codec
            .decode_in(operation, arguments.rest())
            .map_err(|_| Refuse::GarbageArgs)?;
        call.begins();
        let result = self.fake.asked(&operation.name, &arguments)?;
        let packed = codec
            .encode_out(operation, &result, Some(&arguments))
            .map_err(|error| Refuse::SystemErr(format!("the fake's answer: {error}")))?;
        reply.encode(|w| {
            w.slice(&packed);
            Ok(())
        })
    }
}
