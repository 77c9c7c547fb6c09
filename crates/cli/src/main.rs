//! The command `farcall`: what a person does with the library, without writing code.
//!
//! Modules, from the ground up: what is printed and how a run ends ([`output`]), names of programs
//! ([`programs`], [`names`]), measured times ([`latency`]), who calls and who may call over DCE/RPC ([`caller`],
//! [`guard`]), TLS ([`secure`]), how an RPC proxy is reached ([`http`]), how a peer is ([`peer`]), the commands
//! ([`cmd`], one file or folder each with its own options), and the command line ([`args`]).
//! Adding a command is a file in `cmd/`, a `mod` line in `cmd/mod.rs` and a variant in `args.rs`.

mod output;
mod table;
mod near;
mod programs;
mod interfaces;
mod names;
mod latency;
mod password;
mod caller;
mod guard;
mod secure;
mod http;
mod peer;
mod binding;
mod interface;
mod notation;
mod value;
mod streams;
mod session;
mod daemon;
mod cmd;
mod args;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let out = args.output();
    output::init_log(args.verbose());
    let result = args
        .prepare()
        .and_then(|()| output::runtime())
        .and_then(|runtime| runtime.block_on(args.run(&out)));
    out.conclude(result)
}
