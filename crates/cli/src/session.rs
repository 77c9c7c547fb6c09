//! An association with a server of DCE/RPC whose interface was read from a file at run time.
//!
//! Arguments and results are JSON; the bytes between are made straight from the model, in the syntax and byte order that
//! the association has. Context handles that a call brings are good for the calls that follow in the same session.

use farcall::stub::{Interface, Operation};
use farcall::{Client, Endpoint, Error, Options};
use farcall_idl::Model;
use farcall_idl::dynamic::ndr::Codec;
use farcall_idl::model::ndr;
use farcall_wire::ndr::{Mode, Reader};
use farcall_wire::{Bytes, DecodeError, Uuid};
use serde_json::Value;

use crate::near::did_you_mean;
use crate::output::Failure;
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
        None => failure.hint("`farcall describe FILE` shows what there is"),
    })
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
pub(crate) struct Session<'m> {
    model: &'m Model,
    client: Client,
    interfaces: Vec<&'static Interface>,
}

impl<'m> Session<'m> {
    /// Connects for calls to the interface of `first`; calls to others of the file may follow.
    pub(crate) async fn open(
        model: &'m Model,
        endpoint: &Endpoint,
        options: Options,
        first: Found<'m>,
    ) -> Result<Self, Error> {
        let interface = described(first.interface);
        let client = Client::connect_interface_with(endpoint, interface, options).await?;
        Ok(Self {
            model,
            client,
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

    /// Calls an operation.
    pub(crate) async fn call(
        &mut self,
        found: Found<'_>,
        arguments: &Value,
    ) -> anyhow::Result<Value> {
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
