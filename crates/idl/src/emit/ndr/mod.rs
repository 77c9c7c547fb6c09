//! From the NDR half of a model to Rust.
//!
//! Each type becomes a Rust type that is an `ndr::Value` (an enum that is an `ndr::Union` for a union),
//! each interface a module with its description, a server trait, clients, and a `codec` for the
//! messages of each operation. The work is done by the shapes of `farcall_wire::ndr`.
//!
//! Modules, from the ground up: [`plan`] (every decision), [`expr`] (expressions), [`shape`]
//! (types and their wire forms), [`codec`] (structs), [`unions`], [`types`], [`interface`] with [`pipes`],
//! [`pickles`] and [`local`],
//! [`server`] and [`client`].

mod plan;
mod expr;
mod shape;
mod codec;
mod unions;
mod types;
mod interface;
mod pipes;
mod pickles;
mod local;
mod server;
mod client;

use proc_macro2::TokenStream;
use quote::quote;

use crate::config::Config;
use crate::model::Model;

use plan::Plan;

/// The Rust for the interfaces of an `.idl` file.
pub(crate) fn generate(model: &Model, config: &Config) -> TokenStream {
    let plan = Plan::new(model, config);
    let items = plan.defs.items().map(|(id, _)| plan.define(id));
    let pickles = plan.pickled_types();
    let interfaces = plan.interfaces();
    quote! {
        #[allow(unused_imports)]
        use ::farcall_wire::{
            At as _,
            ndr::{self, Int as _, Shape as _, Value as _},
        };

        #(#items)*
        #pickles
        #interfaces
    }
}
