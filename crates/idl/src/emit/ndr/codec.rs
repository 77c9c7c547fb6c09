//! Structures as values: their walks, field by field.
//!
//! What an expression may name depends on the walk: while the flat part is read only the fields
//! in front are known, and nothing behind a pointer; what could not be checked is checked at the
//! end.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::ndr::{Expr, Field, Item, ItemId, Place, Struct, Type};

use super::super::text::{ident, len};
use super::expr::{Env, Found, field_of, nothing};
use super::plan::{Plan, acts};
use super::shape::{Site, part};

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Everything: the value is ours, or was read to its end.
    All,
    /// The flat parts of the fields in front of this one.
    Flat(usize),
    /// All flat parts, and what the fields in front of this one point at.
    Referents(usize),
}

/// A step of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walk {
    Put,
    PutReferents,
    Take,
    TakeReferents,
}

impl Walk {
    fn method(self) -> TokenStream {
        match self {
            Self::Put => quote!(put),
            Self::PutReferents => quote!(put_referents),
            Self::Take => quote!(take),
            Self::TakeReferents => quote!(take_referents),
        }
    }

    fn writes(self) -> bool {
        matches!(self, Self::Put | Self::PutReferents)
    }
}

/// A struct on its way to becoming a value.
pub(crate) struct StructCodec<'p, 'm> {
    plan: &'p Plan<'m>,
    id: ItemId,
    item: &'p Item,
    it: &'p Struct,
}

impl<'p, 'm> StructCodec<'p, 'm> {
    pub(crate) fn new(plan: &'p Plan<'m>, id: ItemId, item: &'p Item, it: &'p Struct) -> Self {
        Self { plan, id, item, it }
    }

    fn fields(&self) -> impl Iterator<Item = (usize, &'p Field)> {
        let fields = self.it.fields.iter().enumerate();
        let link = self.plan.link(self.id);
        fields.filter(move |(at, field)| link != Some(*at) && self.plan.is_field(field))
    }

    /// The shape of a field, and whether all of its numbers were known.
    fn shape(&self, field: &Field, known: Known) -> (Option<TokenStream>, bool) {
        let find = |place: &Place| self.find(place, known);
        let env = Env::new(&find);
        let shape = self.plan.flagged_shape(&field.ty, field.flags, &env);
        (shape, env.missed.get())
    }

    fn find(&self, place: &Place, known: Known) -> Option<Found<'p>> {
        let at = field_of(place)?;
        let field = self.it.fields.get(at).filter(|it| self.plan.is_field(it))?;
        if self.plan.link(self.id) == Some(at) {
            return None;
        }
        let deep = self.plan.is_deep(place);
        let is_known = match known {
            Known::All => true,
            Known::Flat(before) => at < before && (!deep || !self.plan.has_referents(&field.ty)),
            Known::Referents(before) => at < before || !deep || !self.plan.has_referents(&field.ty),
        };
        let name = ident(self.plan.members(self.id).get(at)?);
        is_known.then(|| Found::Place(quote!(self.#name), &field.ty))
    }

    /// One step for one field.
    fn step(&self, at: usize, field: &Field, walk: Walk) -> TokenStream {
        let known = match walk {
            Walk::Take => Known::Flat(at),
            Walk::TakeReferents => Known::Referents(at),
            Walk::Put | Walk::PutReferents => Known::All,
        };
        let (mut shape, _) = self.shape(field, known);
        if walk == Walk::Put
            && let Some(value) = &field.value
        {
            shape = self.valued(value, field, shape);
        }
        let name = ident(&self.plan.members(self.id)[at]);
        let text = &field.name;
        let method = walk.method();
        let cursor = if walk.writes() { quote!(w) } else { quote!(r) };
        let place = match walk.writes() {
            true => quote!(&self.#name),
            false => quote!(&mut self.#name),
        };
        match shape {
            None => quote!(self.#name.#method(#cursor).at(#text)?;),
            Some(shape) => quote!(#shape.#method(#place, #cursor).at(#text)?;),
        }
    }

    /// pidl's `value`: what is computed in place of what the field holds.
    fn valued(
        &self,
        value: &Expr,
        field: &Field,
        shape: Option<TokenStream>,
    ) -> Option<TokenStream> {
        let countable = matches!(
            self.plan.defs.on_wire(&field.ty),
            Type::Base(base) if base.is_integer() && *base != crate::model::ndr::Base::Ipv4
        );
        let find = |place: &Place| self.find(place, Known::All);
        let env = Env::new(&find);
        let number = self.plan.number(Some(value), &env);
        if !countable || env.missed.get() {
            return shape;
        }
        let shape = shape.unwrap_or_else(|| quote!(ndr::Plain));
        Some(quote!(ndr::Computed(#number, #shape)))
    }

    fn steps(&self, walk: Walk) -> Vec<TokenStream> {
        let flat = matches!(walk, Walk::Put | Walk::Take);
        let fields = self.fields();
        let fields = fields.filter(|(_, field)| flat || self.plan.has_referents(&field.ty));
        fields
            .map(|(at, field)| self.step(at, field, walk))
            .collect()
    }

    /// The checks of numbers that were not known when their field was read.
    fn checks(&self) -> Vec<TokenStream> {
        let checks = self.fields().filter_map(|(at, field)| {
            let deep = self.plan.has_referents(&field.ty);
            let known = match deep {
                true => Known::Referents(at),
                false => Known::Flat(at),
            };
            let missed = self.shape(field, known).1;
            let (shape, never) = self.shape(field, Known::All);
            let shape = shape.filter(|_| missed && !never)?;
            let (name, text) = (ident(&self.plan.members(self.id)[at]), &field.name);
            Some(quote!(r.check(#shape.check(&self.#name)).at(#text)?;))
        });
        checks.collect()
    }

    /// Whether relative pointers in the struct count from its start.
    fn is_base(&self) -> bool {
        let mut fields = self.fields();
        self.it.relative_base && fields.any(|(_, field)| self.plan.has_referents(&field.ty))
    }

    /// The body of a step, under the struct's flags.
    fn body(&self, walk: Walk, steps: &[TokenStream]) -> TokenStream {
        let part = acts(self.it.flags).then(|| part(self.it.flags));
        let based =
            self.it.relative_base && matches!(walk, Walk::PutReferents | Walk::TakeReferents);
        let based = match (based, walk.writes()) {
            (false, _) => None,
            (true, true) => Some(quote!(w.with_base(|w| { #(#steps)* Ok(()) }))),
            (true, false) => Some(quote!(r.with_base(|r| { #(#steps)* Ok(()) }))),
        };
        if let (Some(based), None) = (&based, &part) {
            return based.clone();
        }
        let steps = match based {
            Some(based) => &[quote!(#based?;)][..],
            None => steps,
        };
        match (part, walk.writes()) {
            (None, _) => quote!(#(#steps)* Ok(())),
            (Some(part), true) => quote!(#part.put(w, |w| { #(#steps)* Ok(()) })),
            (Some(part), false) => quote!(#part.take(r, |r| { #(#steps)* Ok(()) })),
        }
    }

    /// The steps of a walk through fields in front of the link, or behind it.
    fn part(&self, walk: Walk, link: usize, behind: bool) -> Vec<TokenStream> {
        let flat = matches!(walk, Walk::Put | Walk::Take);
        let fields = self.fields();
        let fields = fields.filter(|(at, _)| (*at > link) == behind);
        let fields = fields.filter(|(_, field)| flat || self.plan.has_referents(&field.ty));
        fields
            .map(|(at, field)| self.step(at, field, walk))
            .collect()
    }

    /// The codec of an element of a list.
    fn print_link(&self, link: usize) -> TokenStream {
        let name = ident(self.plan.name(self.id));
        let (ndr, ndr64) = self.plan.struct_align(self.it);
        let (ndr, ndr64) = (len(ndr.into()), len(ndr64.into()));
        let min = len(usize::try_from(self.plan.struct_min(self.it)).unwrap_or(usize::MAX));
        let text = self.it.fields.get(link).map_or("", |field| &field.name);
        let counts = self.counts();
        let [put, put_rest] = [false, true].map(|behind| self.part(Walk::Put, link, behind));
        let [take, take_rest] = [false, true].map(|behind| self.part(Walk::Take, link, behind));
        let referents = |walk, behind| self.part(walk, link, behind);
        let mut behind = referents(Walk::TakeReferents, true);
        behind.extend(self.checks());
        let writes = [("put_before", false), ("put_behind", true)].map(|(method, behind)| {
            let steps = referents(Walk::PutReferents, behind);
            let method = ident(method);
            (!steps.is_empty()).then(
                || quote!(fn #method(&self, w: &mut ndr::Writer) -> ndr::Put { #(#steps)* Ok(()) }),
            )
        });
        let before = referents(Walk::TakeReferents, false);
        let reads = [("take_before", before), ("take_behind", behind)].map(|(method, steps)| {
            let method = ident(method);
            (!steps.is_empty()).then(|| {
                quote! {
                    fn #method(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take {
                        #(#steps)*
                        Ok(())
                    }
                }
            })
        });
        quote! {
            impl ndr::Link for #name {
                const ALIGN: ndr::Align = ndr::Align::new(#ndr, #ndr64);
                const MIN: usize = #min;

                #counts

                fn put(&self, more: bool, w: &mut ndr::Writer) -> ndr::Put {
                    w.align(Self::ALIGN);
                    #(#put)*
                    w.referent(more).at(#text)?;
                    #(#put_rest)*
                    w.trailer(Self::ALIGN);
                    Ok(())
                }

                fn take(
                    &mut self,
                    r: &mut ndr::Reader<'_>,
                ) -> Result<bool, ::farcall_wire::DecodeError> {
                    r.align(Self::ALIGN)?;
                    #(#take)*
                    let more = r.referent().at(#text)?;
                    #(#take_rest)*
                    r.trailer(Self::ALIGN)?;
                    Ok(more)
                }

                #(#writes)*
                #(#reads)*
            }
        }
    }

    pub(crate) fn print(&self) -> TokenStream {
        if let Some(link) = self.plan.link(self.id) {
            return self.print_link(link);
        }
        let name = ident(self.plan.name(self.id));
        let (ndr, ndr64) = self.plan.struct_align(self.it);
        let (ndr, ndr64) = (len(ndr.into()), len(ndr64.into()));
        let min = len(usize::try_from(self.plan.struct_min(self.it)).unwrap_or(usize::MAX));
        let mut put = self.steps(Walk::Put);
        let mut take = self.steps(Walk::Take);
        let base = self.is_base();
        if !put.is_empty() {
            if base {
                put.insert(0, quote!(w.base_here();));
                take.insert(0, quote!(r.base_here();));
            }
            put.insert(0, quote!(w.align(Self::ALIGN);));
            put.push(quote!(w.trailer(Self::ALIGN);));
            take.insert(0, quote!(r.align(Self::ALIGN)?;));
            take.push(quote!(r.trailer(Self::ALIGN)?;));
        }
        let mut take_referents = self.steps(Walk::TakeReferents);
        match take_referents.is_empty() {
            true => take.extend(self.checks()),
            false => take_referents.extend(self.checks()),
        }
        let counts = self.counts();
        let referents = self.referents(&take_referents);
        let (w, r) = match put.is_empty() {
            true => (quote!(_), quote!(_)),
            false => (quote!(w), quote!(r)),
        };
        let (put, take) = (self.body(Walk::Put, &put), self.body(Walk::Take, &take));
        quote! {
            impl ndr::Value for #name {
                const ALIGN: ndr::Align = ndr::Align::new(#ndr, #ndr64);
                const MIN: usize = #min;

                #counts

                fn put(&self, #w: &mut ndr::Writer) -> ndr::Put { #put }

                fn take(&mut self, #r: &mut ndr::Reader<'_>) -> ndr::Take { #take }

                #referents
            }
        }
    }

    /// The walks to what pointers point at, if there are pointers.
    fn referents(&self, take: &[TokenStream]) -> TokenStream {
        let put = self.steps(Walk::PutReferents);
        if put.is_empty() {
            return TokenStream::new();
        }
        let put = self.body(Walk::PutReferents, &put);
        let take = self.body(Walk::TakeReferents, take);
        quote! {
            fn put_referents(&self, w: &mut ndr::Writer) -> ndr::Put { #put }

            fn take_referents(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take { #take }
        }
    }

    /// The maximum counts in front, if there are any.
    fn counts(&self) -> TokenStream {
        let Some(at) = self.plan.conformant_field(self.it) else {
            return TokenStream::new();
        };
        let field = &self.it.fields[at];
        let name = ident(&self.plan.members(self.id)[at]);
        let place = format!("{}.{}", self.item.name, field.name);
        let site = Site {
            place: &place,
            ..Site::TYPES
        };
        let ty = self.plan.rust_type(&field.ty, site);
        let text = &field.name;
        let put = match self.shape(field, Known::All).0 {
            None => quote!(self.#name.put_counts(w).at(#text)),
            Some(shape) => quote!(#shape.put_counts(&self.#name, w).at(#text)),
        };
        let env = Env::new(&nothing);
        let take = match self.plan.flagged_shape(&field.ty, field.flags, &env) {
            None => quote!(<#ty as ndr::Value>::take_counts(r).at(#text)),
            Some(shape) => quote!(ndr::Shape::<#ty>::take_counts(#shape, r).at(#text)),
        };
        quote! {
            fn put_counts(&self, w: &mut ndr::Writer) -> ndr::Put { #put }

            fn take_counts(r: &mut ndr::Reader<'_>) -> ndr::Take { #take }
        }
    }
}
