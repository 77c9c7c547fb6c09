//! An association with a server of DCE/RPC whose interface was read from a file at run time.
//!
//! Arguments and results are JSON; the bytes between are made straight from the model, in the syntax and byte order that
//! the association has. Context handles that a call brings are good for the calls that follow in the same session.

use farcall::pipe;
use farcall::stub::{Answer, Interface, Operation};
use farcall::{Cause, Client, Endpoint, Error, Options};
use farcall_idl::Model;
use farcall_idl::dynamic;
use farcall_idl::dynamic::ndr::Codec;
use farcall_idl::model::ndr;
use farcall_wire::ndr::{Mode, Reader, Writer};
use farcall_wire::{Bytes, DecodeError, EncodeError, EncodeErrorKind, Uuid};
use serde_json::{Map, Value, json};

use crate::interfaces::{self, Offered};
use crate::near::did_you_mean;
use crate::output::{Failure, Output};
use crate::streams::Pipes;
use crate::value;

/// An operation in its interface.
#[derive(Clone, Copy)]
pub(crate) struct Found<'m> {
    pub(crate) interface: &'m ndr::Interface,
    pub(crate) operation: &'m ndr::Operation,
}

/// All operations that can be called, those of imported files last.
pub(crate) fn operations(model: &Model) -> Vec<Found<'_>> {
    let called = |interface: &&ndr::Interface| interface.uuid.is_some() && !interface.local;
    let interfaces = model.ndr().interfaces().map(|(_, it)| it).filter(called);
    let mut all: Vec<Found<'_>> = interfaces
        .flat_map(|interface| {
            let known = interface.operations.iter().filter(|it| !it.unknown);
            known.map(move |operation| Found {
                interface,
                operation,
            })
        })
        .collect();
    all.sort_by_key(|found| found.interface.imported);
    all
}

/// Finds an operation as a user names it: `NAME`, `INTERFACE.NAME` or a number; letters' case and a prefix that all
/// operations share aside.
pub(crate) fn find<'m>(model: &'m Model, wanted: &str) -> Result<Found<'m>, Failure> {
    let (within, name) = match wanted.rsplit_once('.') {
        Some((within, name)) => (Some(within), name),
        None => (None, wanted),
    };
    let mut all = operations(model);
    all.retain(|it| within.is_none_or(|within| it.interface.name.eq_ignore_ascii_case(within)));
    let number = name.parse::<u16>().ok();
    let exact = |it: &&Found<'_>| {
        it.operation.name.eq_ignore_ascii_case(name) || Some(it.operation.opnum) == number
    };
    let short = |it: &&Found<'_>| {
        let full = it.operation.name.to_ascii_lowercase();
        full.ends_with(&format!("_{}", name.to_ascii_lowercase()))
    };
    if let Some(found) = all.iter().find(exact).or_else(|| all.iter().find(short)) {
        return Ok(*found);
    }
    let failure = Failure::new(format!("there is no operation '{wanted}'"));
    let names = all.iter().map(|it| it.operation.name.as_str());
    Err(match did_you_mean(name, names) {
        Some(hint) => failure.hint(hint),
        None => match number.and(highest(&all)) {
            Some(highest) => failure.hint(format!("operations have the numbers up to {highest}")),
            None => failure.hint("`farcall describe FILE` shows what there is"),
        },
    })
}

fn highest(all: &[Found<'_>]) -> Option<u16> {
    all.iter().map(|it| it.operation.opnum).max()
}

/// The arguments of an operation as a user writes them; nothing at all is none.
pub(crate) fn arguments(text: Option<&str>) -> Result<Value, Failure> {
    match text {
        None => Ok(json!({})),
        text => value::json(text),
    }
}

/// A description that lasts as long as the process, as clients want it.
pub(crate) fn described(interface: &ndr::Interface) -> &'static Interface {
    let operations = interface.operations.iter().map(|it| Operation {
        opnum: it.opnum,
        name: String::leak(it.name.clone()),
        idempotent: it.idempotent,
        blocking: false,
        broadcast: it.broadcast,
        maybe: it.maybe,
        in_pipes: 0,
        out_pipes: 0,
    });
    Box::leak(Box::new(Interface {
        uuid: interface.uuid.unwrap_or(Uuid::NIL),
        major: interface.version.0,
        minor: interface.version.1,
        name: String::leak(interface.name.clone()),
        operations: Vec::leak(operations.collect()),
        endpoints: &[],
    }))
}

/// An association, and the interfaces that were called over it.
pub(crate) struct Session {
    model: &'static Model,
    client: Client,
    interfaces: Vec<&'static Interface>,
}

impl Session {
    /// Connects for calls to the interface of `first`; calls to others of the file may follow.
    pub(crate) async fn open(
        model: &'static Model,
        endpoint: &Endpoint,
        options: Options,
        first: Found<'static>,
    ) -> Result<Self, Error> {
        let interface = described(first.interface);
        Ok(Self {
            model,
            client: connect(endpoint, interface, options).await?,
            interfaces: vec![interface],
        })
    }

    /// Whom it is with.
    pub(crate) fn peer(&self) -> &str {
        self.client.peer()
    }

    fn interface(&mut self, of: &ndr::Interface) -> &'static Interface {
        let id = (of.uuid, of.version);
        let known = self
            .interfaces
            .iter()
            .find(|it| (Some(it.uuid), (it.major, it.minor)) == id);
        if let Some(known) = known {
            return known;
        }
        let new = described(of);
        self.interfaces.push(new);
        new
    }

    /// Calls an operation. Pipes may be files: `"@PATH"` in their place.
    pub(crate) async fn call(
        &mut self,
        found: Found<'static>,
        arguments: &Value,
        out: &Output,
    ) -> anyhow::Result<Value> {
        if let Value::Object(members) = arguments {
            let pipes = Codec::new(self.model).pipes(found.operation);
            let mut members = members.clone();
            if let Some(pipes) = Pipes::take(pipes, &mut members)? {
                return self.stream(found, members, pipes, out).await;
            }
        }
        let interface = self.interface(found.interface);
        let codec = |mode: Mode| Codec::new(self.model).syntax(mode.syntax).order(mode.order);
        let mut misfit = None;
        let calling = self.client.operation(
            interface,
            found.operation.opnum,
            &[],
            |w| {
                match codec(w.mode()).encode_in(found.operation, arguments) {
                    Ok(stub) => w.slice(&stub),
                    Err(error) => misfit = Some(error),
                }
                Ok(())
            },
            rest,
        );
        let name = &found.operation.name;
        if let Some(error) = misfit {
            return Err(value::misfit(&format!("arguments of {name}"), &error).into());
        }
        let (mode, results) = calling.await.map_err(explained)?;
        let result = codec(mode).decode_out(found.operation, &results, Some(arguments));
        result.map_err(|error| {
            value::misfit(&format!("results of {name}"), &error)
                .hint("is the interface file the one that the server was built with?")
                .into()
        })
    }
}

impl Session {
    /// Calls an operation whose pipes come and go by and by.
    async fn stream(
        &mut self,
        found: Found<'static>,
        arguments: Map<String, Value>,
        mut pipes: Pipes,
        out: &Output,
    ) -> anyhow::Result<Value> {
        let (interface, model) = (self.interface(found.interface), self.model);
        let (operation, number) = (found.operation, found.operation.opnum);
        let unfit = |what: &str, error: &dynamic::Error| {
            value::misfit(&format!("{what} of {}", operation.name), error)
        };
        let codec = Codec::new(model);
        codec
            .encode_beside(operation, &arguments)
            .map_err(|error| unfit("arguments", &error))?;
        let beside = codec
            .beside(operation, &arguments)
            .map_err(|error| unfit("arguments", &error))?;
        let sources = pipes.sources(out)?;
        let put = |w: &mut Writer| {
            let mode = w.mode();
            let codec = Codec::new(model).syntax(mode.syntax).order(mode.order);
            match codec.encode_beside(operation, &arguments) {
                Ok(stub) => w.slice(&stub),
                Err(_) => return Err(EncodeError::new(EncodeErrorKind::Invalid("an argument"))),
            }
            Ok(())
        };
        if !pipes.come() {
            let answer = Answer::Whole(rest);
            let calling = self
                .client
                .operation_piped(interface, number, &[], put, sources, answer);
            let (mode, results) = calling.await.map_err(explained)?;
            let mut r = Reader::new(&results, mode.syntax, mode.order);
            let read = beside.read(&mut r);
            return read.map_err(|error| unfit("results", &error.into()).into());
        }
        let answer = Answer::Piped(|it| it);
        let calling = self
            .client
            .operation_piped(interface, number, &[], put, sources, answer);
        let received: pipe::Received = calling.await.map_err(explained)?;
        let came = pipes.receive(&received, out).await;
        let mut members = came.map_err(|error| match error.downcast::<Error>() {
            Ok(error) => explained(error).into(),
            Err(error) => error,
        })?;
        let none = pipe::Elements::<u8>::of(Vec::new());
        let receiving = received.with(none, move |r| beside.read(r));
        let results = receiving.result().await.map_err(explained)?;
        if let Value::Object(results) = results {
            members.extend(results);
        }
        Ok(Value::Object(members))
    }
}

/// A client of an interface. If the server does not have it, the error says what it has instead.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    interface: &'static Interface,
    options: Options,
) -> Result<Client, Error> {
    match Client::connect_interface_with(endpoint, interface, options.clone()).await {
        Ok(client) => Ok(client),
        Err(error) => Err(with_what_there_is(error, interface, options).await),
    }
}

/// The same error; if the server does not have the interface, with what it has instead.
async fn with_what_there_is(error: Error, interface: &Interface, options: Options) -> Error {
    let Cause::BindRefused(_) = error.cause() else {
        return error;
    };
    let Some(Ok(server)) = error.peer().map(str::parse::<Endpoint>) else {
        return error;
    };
    match interfaces::offered(&server, options).await {
        Ok(offered) => match hint(&offered, interface) {
            Some(hint) => error.hint(hint),
            None => error,
        },
        Err(_) => error,
    }
}

/// What a server that does not have the interface has instead.
fn hint(offered: &[Offered], interface: &Interface) -> Option<String> {
    let version = |it: &Offered| format!("{}.{}", it.version.0, it.version.1);
    let same = offered.iter().filter(|it| it.uuid == interface.uuid);
    let versions: Vec<String> = same.map(version).collect();
    if !versions.is_empty() {
        let name = interface.name;
        return Some(format!("it has {name} in version {}", versions.join(", ")));
    }
    let named = |it: &Offered| match interfaces::name(it.uuid) {
        Some(name) => format!("{name} {}", version(it)),
        None => format!("{} {}", it.uuid, version(it)),
    };
    let names: Vec<String> = offered.iter().take(10).map(named).collect();
    (!names.is_empty()).then(|| format!("it has {}", names.join(", ")))
}

/// The results as they are, and how they are encoded.
fn rest(r: &mut Reader<'_>) -> Result<(Mode, Bytes), DecodeError> {
    let mode = r.mode();
    let len = r.remaining();
    Ok((mode, r.bytes(len)?))
}

/// The same error with hints in the command's own words.
pub(crate) fn explained(error: Error) -> Error {
    let mut told =
        Error::new(error.phase(), error.cause().clone()).executed(error.may_have_executed());
    if let Some(procedure) = error.procedure() {
        told = told.with_procedure(procedure);
    }
    if let Some(peer) = error.peer() {
        told = told.with_peer(peer);
    }
    error.hints().iter().fold(told, |told, hint| {
        match hint.contains("Options::credentials") {
            true => told.hint("call with --auth ntlm, spnego or krb5 and --user; the server may ask for another --level, or refuse the password"),
            false => told.hint(hint.as_str()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_an_interface_is_said_to_have_others() {
        let of = |uuid: &str, version| Offered {
            uuid: uuid.parse().expect("a UUID"),
            version,
        };
        let (echo, lsarpc) = (
            "60a15ec5-4de8-11d7-a637-005056a20182",
            "12345778-1234-abcd-ef00-0123456789ab",
        );
        let offered = [of(echo, (1, 0)), of(lsarpc, (0, 0))];
        let asked = |uuid: &str| Interface {
            uuid: uuid.parse().expect("a UUID"),
            major: 7,
            minor: 0,
            name: "mine",
            operations: &[],
            endpoints: &[],
        };
        let told = |uuid| hint(&offered, &asked(uuid));
        assert_eq!(told(echo).as_deref(), Some("it has mine in version 1.0"));
        let other = told("e1af8308-5d1f-11c9-91a4-08002b14a0fa");
        assert_eq!(other.as_deref(), Some("it has rpcecho 1.0, lsarpc 0.0"));
        assert_eq!(hint(&[], &asked(echo)), None);
    }

    #[test]
    fn no_arguments_are_an_empty_object() {
        assert_eq!(arguments(None).expect("none"), json!({}));
        assert_eq!(arguments(Some("null")).expect("null"), Value::Null);
    }
}
