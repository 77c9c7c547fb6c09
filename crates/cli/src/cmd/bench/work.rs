//! What is called again and again: a procedure or an operation with its arguments, or nothing in particular.
//!
//! What is called of a DCE/RPC server that has nothing to do is `is_server_listening` of the management interface (C706
//! appendix Q), which every server answers over whatever interface a connection was bound to first.

use farcall::generated::mgmt::mgmt;
use farcall::stub::{Interface, Raw, Target};
use farcall::{Client, Endpoint, Error, Family, Options};
use farcall_idl::Model;
use farcall_idl::dynamic::{self, Codec, ndr};
use farcall_wire::ndr::{Order, Reader, Syntax};
use serde_json::Value;

use super::Args;
use crate::cmd::call;
use crate::interface;
use crate::output::{Failure, Output};
use crate::{interfaces, programs, session, streams, value};

/// One call, made again and again.
#[derive(Debug)]
pub(crate) enum Work {
    /// ONC RPC: a procedure, its arguments as XDR.
    Procedure { target: Target, arguments: Vec<u8> },
    /// DCE/RPC: whether the server takes calls, asked over connections that this interface was bound on.
    Listening(&'static Interface),
    /// DCE/RPC: an operation, its arguments in both syntaxes.
    Operation {
        interface: &'static Interface,
        number: u16,
        ndr: Vec<u8>,
        ndr64: Vec<u8>,
    },
}

/// What is called, where, and how one calls that.
pub(crate) struct Chosen {
    pub(crate) work: Work,
    pub(crate) endpoint: Endpoint,
    pub(crate) what: String,
}

impl Work {
    /// A connection for such calls.
    pub(crate) async fn connect(
        &self,
        endpoint: &Endpoint,
        options: Options,
    ) -> Result<Client, Error> {
        match self {
            Self::Procedure { target, .. } => {
                Client::connect_with(endpoint, target.program, target.version, options).await
            }
            Self::Listening(interface) | Self::Operation { interface, .. } => {
                let connecting = session::connect(endpoint, interface, options);
                connecting.await.map_err(session::explained)
            }
        }
    }

    /// One call; what comes back is not looked at.
    pub(crate) async fn call(&self, client: &Client) -> Result<(), Error> {
        match self {
            Self::Procedure { target, arguments } => {
                let calling = client.call_target(*target, &Raw(arguments), call::rest);
                calling.await.map(drop)
            }
            Self::Listening(_) => {
                let listening = mgmt::Client::from(client.clone()).is_server_listening();
                listening.await.map(drop)
            }
            Self::Operation {
                interface,
                number,
                ndr,
                ndr64,
            } => {
                let calling = client.operation(
                    interface,
                    *number,
                    &[],
                    |w| {
                        w.slice(match w.mode().syntax {
                            Syntax::Ndr => ndr,
                            Syntax::Ndr64 => ndr64,
                        });
                        Ok(())
                    },
                    |r: &mut Reader<'_>| {
                        let len = r.remaining();
                        r.bytes(len).map(drop)
                    },
                );
                calling.await
            }
        }
    }
}

/// What the user wants called.
pub(crate) async fn chosen(args: &Args, options: &Options, out: &Output) -> anyhow::Result<Chosen> {
    let at = |work, what| Chosen {
        work,
        endpoint: args.endpoint.clone(),
        what,
    };
    if let (Some(file), Some(op)) = (&args.idl, &args.op) {
        let model = interface::load(file, &args.preprocess, out)?;
        let (work, what) = match model.ndr().is_blank() {
            true => procedure(&model, op, args.args.as_deref())?,
            false => operation(&model, op, args.args.as_deref())?,
        };
        return Ok(at(work, what));
    }
    if args.endpoint.transport().family() == Family::Dce {
        return Ok(listening(args, options).await?);
    }
    let (Some(program), Some(version)) = (&args.program, &args.version) else {
        let failure = Failure::new("a program and its version are required, or --idl and --op");
        return Err(failure.into());
    };
    let program = programs::parse(program)?;
    let number = version.parse();
    let version =
        number.map_err(|_| Failure::new(format!("version '{version}' is not a number")))?;
    let target = Target {
        program,
        version,
        procedure: 0,
    };
    let what = format!(
        "null calls of {} version {version}",
        programs::shown(program)
    );
    let arguments = Vec::new();
    Ok(at(Work::Procedure { target, arguments }, what))
}

/// Any server of DCE/RPC, or one that has an interface.
async fn listening(args: &Args, options: &Options) -> Result<Chosen, Failure> {
    let (wanted, version) = (args.program.as_deref(), args.version.as_deref());
    let asked = interfaces::asked(&args.endpoint, wanted, version, options.clone());
    let (endpoint, interface) = asked.await?;
    let what = match wanted {
        None => "mgmt.is_server_listening".to_owned(),
        Some(name) => format!(
            "mgmt.is_server_listening beside {name} v{}.{}",
            interface.major, interface.minor
        ),
    };
    Ok(Chosen {
        work: Work::Listening(interface),
        endpoint,
        what,
    })
}

fn procedure(model: &Model, op: &str, args: Option<&str>) -> Result<(Work, String), Failure> {
    let found = interface::find(model, op, None, None)?;
    let json = value::json(args)?;
    let packed = Codec::new(model).encode_arguments(found.procedure, &json);
    let what = format!("{}.{}", found.version.name, found.procedure.name);
    let work = Work::Procedure {
        target: call::target(&found),
        arguments: packed.map_err(|error| unfit(&what, &error))?,
    };
    Ok((work, what))
}

fn operation(model: &Model, op: &str, args: Option<&str>) -> Result<(Work, String), Failure> {
    let found = session::find(model, op)?;
    let mut json = session::arguments(args)?;
    let codec = ndr::Codec::new(model);
    if let Value::Object(members) = &mut json {
        streams::whole(&codec.pipes(found.operation), false, members)?;
    }
    let what = format!("{}.{}", found.interface.name, found.operation.name);
    let packed = |syntax| {
        let codec = codec.clone().syntax(syntax).order(Order::Little);
        let packed = codec.encode_in(found.operation, &json);
        packed.map_err(|error| unfit(&what, &error))
    };
    let work = Work::Operation {
        interface: session::described(found.interface),
        number: found.operation.opnum,
        ndr: packed(Syntax::Ndr)?,
        ndr64: packed(Syntax::Ndr64)?,
    };
    Ok((work, what))
}

fn unfit(what: &str, error: &dynamic::Error) -> Failure {
    value::misfit(&format!("arguments of {what}"), error)
}
