//! What client and server share of a program's version: the module, the description, and the
//! procedures with their Rust names.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::{Arg, Procedure, Program, Type, Version};

use super::codec::Value;
use super::names::{self, Scope};
use super::plan::{Form, Plan};
use super::text::{Docs, ident, len};
use super::types::Site;

/// A procedure, named for Rust.
pub(crate) struct Method<'m> {
    pub(crate) procedure: &'m Procedure,
    pub(crate) name: String,
    /// The arguments' names.
    pub(crate) args: Vec<String>,
}

/// Where a procedure's code stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) site: Site,
}

impl Method<'_> {
    /// Whether it is the procedure that the library answers itself.
    pub(crate) fn is_null(&self) -> bool {
        let it = self.procedure;
        it.number == 0 && it.args.is_empty() && it.result == Type::Void
    }

    /// Its documentation, the interface's name mentioned.
    pub(crate) fn docs(&self) -> Docs {
        Docs::of(&self.procedure.docs).renamed(&self.procedure.name, &self.name)
    }

    /// Name and type of each argument.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = (&Arg, proc_macro2::Ident)> {
        let names = self.args.iter().map(|name| ident(name));
        self.procedure.args.iter().zip(names)
    }

    /// Lets a procedure with many arguments pass.
    pub(crate) fn allow(&self) -> TokenStream {
        match self.procedure.args.len() > 5 {
            true => quote!(#[allow(clippy::too_many_arguments)]),
            false => TokenStream::new(),
        }
    }
}

/// What is written inside a version's module and so is no name for an argument or a method.
const TAKEN: &[&str] = &[
    "arguments",
    "call",
    "clone",
    "connect",
    "connect_with",
    "from",
    "in_process",
    "into",
    "r",
    "reply",
    "result",
    "self",
    "size",
    "w",
];

/// The procedures of a version, with their names.
pub(crate) fn methods<'m>(version: &'m Version, whole_names: bool) -> Vec<Method<'m>> {
    let originals: Vec<&str> = version.procedures.iter().map(|p| p.name.as_str()).collect();
    let prefix = match whole_names {
        true => "",
        false => names::common_prefix(&originals),
    };
    let wanted: Vec<String> = version
        .procedures
        .iter()
        .map(|procedure| match is_null(procedure) {
            true => "null".to_owned(),
            false => names::snake(procedure.name.get(prefix.len()..).unwrap_or("")),
        })
        .collect();
    let given = Scope::new(TAKEN).claim_all(&wanted);
    let named = version.procedures.iter().zip(given);
    named
        .map(|(procedure, name)| Method {
            procedure,
            name,
            args: argument_names(procedure),
        })
        .collect()
}

fn is_null(procedure: &Procedure) -> bool {
    procedure.number == 0 && procedure.args.is_empty() && procedure.result == Type::Void
}

fn argument_names(procedure: &Procedure) -> Vec<String> {
    let alone = procedure.args.len() == 1;
    let wanted: Vec<String> = procedure
        .args
        .iter()
        .enumerate()
        .map(|(i, arg)| match &arg.name {
            Some(name) => names::snake(name),
            None if alone => "args".to_owned(),
            None => format!("arg{}", i + 1),
        })
        .collect();
    Scope::new(TAKEN).claim_all(&wanted)
}

impl<'m> Plan<'m> {
    /// The modules of all programs: `v1` for the versions of a lone program, else a module for
    /// each program around them.
    pub(crate) fn programs(&self) -> TokenStream {
        if self.config.no_client && self.config.no_server {
            return TokenStream::new();
        }
        let programs = self.model.programs();
        if let [program] = programs {
            return self.versions(program, 1);
        }
        let wanted: Vec<String> = programs.iter().map(|p| names::snake(&p.name)).collect();
        let given = Scope::default().claim_all(&wanted);
        let modules = programs.iter().zip(given).map(|(program, name)| {
            let docs = Docs::of(&program.docs).line(format!(
                "Program {}, number {}.",
                program.name, program.number
            ));
            let (name, versions) = (ident(&name), self.versions(program, 2));
            quote!(#docs pub mod #name { #versions })
        });
        quote!(#(#modules)*)
    }

    fn versions(&self, program: &'m Program, depth: usize) -> TokenStream {
        let versions = program.versions.iter();
        let modules = versions.map(|version| self.version(program, version, depth));
        quote!(#(#modules)*)
    }

    fn version(&self, program: &Program, version: &'m Version, depth: usize) -> TokenStream {
        let spot = Spot {
            site: Site {
                form: Form::Owned,
                depth,
            },
        };
        let methods = methods(version, self.config.whole_names);
        let module = ident(&format!("v{}", version.number));
        let docs = Docs::of(&version.docs).line(format!(
            "Version {} of program {} ({}): {}.",
            version.number, program.name, program.number, version.name
        ));
        let description = description(program, version);
        let server = (!self.config.no_server).then(|| self.server(&methods, spot));
        let client = (!self.config.no_client).then(|| self.client(&methods, spot));
        quote! {
            #docs
            #[allow(clippy::redundant_closure, dead_code)]
            pub mod #module {
                #[allow(unused_imports)]
                use ::farcall_wire::{At as _, Decode as _, Encode as _};

                #description
                #server
                #client
            }
        }
    }

    /// Values of these types as one `Encode`: an expression of type `&impl Encode`. Each value
    /// comes with its type and place.
    pub(crate) fn encodable(&self, parts: &[(&Type, Value)]) -> TokenStream {
        let plain = parts.iter().all(|(ty, _)| self.is_whole(ty));
        match parts {
            [] => return quote!(&()),
            [(_, value)] if plain => return value.referred(),
            _ if plain && parts.len() <= 8 => {
                let values = parts.iter().map(|(_, value)| value.receiver());
                return quote!(&(#(#values,)*));
            }
            _ => {}
        }
        let form = Form::Owned;
        let measures: Vec<_> = parts
            .iter()
            .map(|(ty, value)| self.measure(ty, "", value, form))
            .collect();
        let encodes = parts
            .iter()
            .map(|(ty, value)| self.encode(ty, "", value, form));
        let (last, first) = match measures.split_last() {
            Some((last, first)) => (last.clone(), first),
            None => (quote!(Ok(())), &[][..]),
        };
        quote! {
            &::farcall_wire::compose::inline(
                |size| { #(#first?;)* #last },
                |w| { #(#encodes;)* },
            )
        }
    }
}

/// The constant that describes a version.
fn description(program: &Program, version: &Version) -> TokenStream {
    let (number, version_number) = (unsuffixed(program.number), unsuffixed(version.number));
    let (name, version_name) = (&program.name, &version.name);
    let procedures = version.procedures.iter().map(|procedure| {
        let (number, name) = (unsuffixed(procedure.number), &procedure.name);
        let (idempotent, blocking) = (
            procedure.properties.idempotent,
            procedure.properties.blocking,
        );
        quote! {
            ::farcall::stub::Procedure {
                number: #number,
                name: #name,
                idempotent: #idempotent,
                blocking: #blocking,
            },
        }
    });
    quote! {
        /// What the interface says of this version: its numbers, names and procedures.
        pub static PROGRAM: ::farcall::stub::Program = ::farcall::stub::Program {
            number: #number,
            version: #version_number,
            name: #name,
            version_name: #version_name,
            procedures: &[#(#procedures)*],
        };
    }
}

pub(crate) fn unsuffixed(number: u32) -> Literal {
    len(number as usize)
}
