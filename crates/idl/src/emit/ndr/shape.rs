//! For each type its Rust type and its shape: the value of `farcall_wire::ndr` that reads and
//! writes it at its place.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::ndr::{
    Array, Base, Blob, Encoding, Extent, FlaggedString, Flags, ItemId, ItemKind, Pointer,
    PointerClass, Slice, Str, StringCounts, Subcontext, SubcontextHeader, Switch, Type,
};

use super::super::text::{ident, len, tokens};
use super::expr::{Env, literal};
use super::plan::{Plan, acts, is_wide};

/// The place of a type: how deep its code stands below the file's types, and the name that its
/// configuration is looked up under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) depth: usize,
    pub(crate) place: &'a str,
}

impl Site<'_> {
    /// Among the file's types.
    pub(crate) const TYPES: Self = Self {
        depth: 0,
        place: "",
    };

    /// So many modules below.
    pub(crate) const fn below(depth: usize) -> Self {
        Self { depth, place: "" }
    }
}

impl Plan<'_> {
    /// The item's path as written at `site`.
    pub(crate) fn path(&self, id: ItemId, site: Site<'_>) -> TokenStream {
        if let Some(path) = self.extern_path(id) {
            return tokens(path);
        }
        let name = ident(self.name(id));
        let up = (0..site.depth).map(|_| quote!(super::));
        quote!(#(#up)* #name)
    }

    /// The Rust type.
    pub(crate) fn rust_type(&self, ty: &Type, site: Site<'_>) -> TokenStream {
        match ty {
            Type::Void | Type::Absent => quote!(()),
            Type::Base(base) => base_type(*base),
            Type::Range(inner, ..) => self.rust_type(inner, site),
            Type::Named(id) | Type::Union(id, _) => {
                let path = self.path(*id, site);
                match self.is_node(ty) {
                    true => quote!(Vec<#path>),
                    false if self.waits(ty) => quote!(ndr::As<#path>),
                    false => path,
                }
            }
            Type::Pointer(it) => self.pointer_type(it, site),
            Type::Array(it) => self.array_type(it, site),
            Type::String(it) => text_type(is_wide(it)),
            Type::Interface(_) => quote!(ndr::InterfacePointer),
            Type::Pipe(inner) => {
                let inner = self.rust_type(inner, site);
                quote!(ndr::Pipe<#inner>)
            }
            Type::ContextHandle => quote!(ndr::ContextHandle),
            Type::FlaggedString(it) => flagged_type(it),
            Type::StringArray(it) => {
                let inner = flagged_type(it);
                quote!(Vec<#inner>)
            }
            Type::Blob(_) => quote!(::farcall_wire::Bytes),
            Type::Subcontext(it) => match it.compression {
                Some(_) => quote!(::farcall_wire::Bytes),
                None => self.rust_type(&it.inner, site),
            },
        }
    }

    /// The Rust type where a value stands alone: as a parameter, or behind a pointer.
    pub(crate) fn lone_type(&self, ty: &Type, site: Site<'_>) -> TokenStream {
        match ty {
            Type::Named(id) if self.own(ty).is_some() => self.path(*id, site),
            ty => self.rust_type(ty, site),
        }
    }

    fn pointer_type(&self, it: &Pointer, site: Site<'_>) -> TokenStream {
        if it.class == PointerClass::Ignore {
            return quote!(());
        }
        let inner = self.lone_type(&it.pointee, site);
        match it.class {
            PointerClass::Ref => inner,
            PointerClass::Full => quote!(ndr::Full<#inner>),
            // A list may be empty.
            PointerClass::Unique if self.list_of(&it.pointee).is_some() => inner,
            _ if self.is_boxed(&it.pointee) => quote!(Option<Box<#inner>>),
            _ => quote!(Option<#inner>),
        }
    }

    /// Whether the type names a struct whose values are elements of lists; a typedef of it stands for
    /// the list already.
    fn is_node(&self, ty: &Type) -> bool {
        match ty {
            Type::Named(id) => self.link(*id).is_some() && self.extern_path(*id).is_none(),
            _ => false,
        }
    }

    /// Whether what a pointer points at lies in a box.
    fn is_boxed(&self, pointee: &Type) -> bool {
        match self.behind(pointee) {
            Type::Named(id) | Type::Union(id, _) => self.is_recursive(*id),
            Type::Subcontext(it) if it.compression.is_none() => self.is_boxed(&it.inner),
            _ => false,
        }
    }

    fn array_type(&self, it: &Array, site: Site<'_>) -> TokenStream {
        let element = self.rust_type(&it.element, site);
        if self.is_short(it) {
            let dims = it.dimensions.iter().rev();
            return dims.fold(element, |inner, dim| match dim.extent {
                Extent::Fixed(n) => {
                    let n = len(n as usize);
                    quote!([#inner; #n])
                }
                _ => inner,
            });
        }
        let bytes = matches!(self.behind(&it.element), Type::Base(base) if base_type(*base).to_string() == "u8");
        match it.dimensions.len() {
            1 if bytes && self.config.bytes.contains(site.place) => quote!(::farcall_wire::Bytes),
            1 => quote!(Vec<#element>),
            _ => quote!(ndr::Matrix<#element>),
        }
    }

    /// The shape; `None` is the type's own form.
    pub(crate) fn shape(&self, ty: &Type, env: &Env<'_>) -> Option<TokenStream> {
        match ty {
            Type::Void | Type::Absent | Type::Interface(_) | Type::ContextHandle => None,
            Type::Base(base) => base_shape(*base),
            Type::Range(inner, low, high) => Some(self.ranged(inner, *low, *high, env)),
            Type::Named(id) => self.named_shape(*id, env),
            Type::Union(id, switch) => Some(self.switched(*id, switch.as_deref(), env)),
            Type::Pointer(it) => Some(self.pointer(it, env)),
            Type::Array(it) => self.array(it, env),
            Type::String(it) => Some(self.string(it, env)),
            Type::Pipe(inner) => {
                let inner = self.whole(inner, env);
                Some(quote!(ndr::Chunks(#inner)))
            }
            Type::FlaggedString(it) => Some(flagged(it)),
            Type::StringArray(it) => {
                let inner = flagged(it);
                Some(quote!(ndr::StringArray(#inner)))
            }
            Type::Blob(it) => Some(match it {
                Blob::Counted => quote!(ndr::CountedBlob),
                Blob::Remaining => quote!(ndr::Remaining(ndr::Plain)),
                Blob::Align(n) => {
                    let n = Literal::u8_unsuffixed(*n);
                    quote!(ndr::Filler(#n))
                }
            }),
            Type::Subcontext(it) => Some(self.subcontext(it, env)),
        }
    }

    /// The shape, written out.
    pub(crate) fn whole(&self, ty: &Type, env: &Env<'_>) -> TokenStream {
        self.shape(ty, env).unwrap_or_else(|| quote!(ndr::Plain))
    }

    /// The shape where a value stands alone.
    pub(crate) fn lone_shape(&self, ty: &Type, env: &Env<'_>) -> Option<TokenStream> {
        match self.own(ty).map(|id| &self.defs.item(id).kind) {
            Some(ItemKind::Typedef(it)) => {
                let wire = self.whole(&it.ty, env);
                Some(quote!(ndr::Own(#wire)))
            }
            _ => self.shape(ty, env),
        }
    }

    /// The shape of what stands under these flags.
    pub(crate) fn flagged_shape(
        &self,
        ty: &Type,
        flags: Flags,
        env: &Env<'_>,
    ) -> Option<TokenStream> {
        if !acts(flags) {
            return self.shape(ty, env);
        }
        let inner = self.shape(ty, env);
        let (part, inner) = (part(flags), inner.unwrap_or_else(|| quote!(ndr::Plain)));
        Some(quote!(ndr::In(#part, #inner)))
    }

    fn ranged(&self, inner: &Type, low: i128, high: i128, env: &Env<'_>) -> TokenStream {
        let clamp = |n: i128| literal(n.clamp(i64::MIN.into(), i64::MAX.into()), false);
        let (low, high, shape) = (clamp(low), clamp(high), self.whole(inner, env));
        match self.behind(inner) {
            Type::Array(_) | Type::String(_) => quote!(ndr::Limited(#low, #high, #shape)),
            inner if self.is_number(inner) => quote!(ndr::Ranged(#low, #high, #shape)),
            _ => shape,
        }
    }

    /// Whether values of the type are whole numbers, named or not.
    fn is_number(&self, ty: &Type) -> bool {
        match ty {
            Type::Base(base) => base.is_integer() && *base != Base::Ipv4,
            Type::Named(id) if self.extern_path(*id).is_none() => {
                let kind = &self.defs.item(*id).kind;
                matches!(kind, ItemKind::Enum(_) | ItemKind::Bitmap(_))
            }
            _ => false,
        }
    }

    fn named_shape(&self, id: ItemId, env: &Env<'_>) -> Option<TokenStream> {
        if self.extern_path(id).is_some() {
            return None;
        }
        match &self.defs.item(id).kind {
            ItemKind::Typedef(it) if self.converted(id).is_some() => {
                let wire = self.whole(&it.ty, env);
                Some(match self.has_referents(&it.ty) {
                    true => quote!(ndr::Via(#wire)),
                    false => quote!(ndr::Own(#wire)),
                })
            }
            ItemKind::Typedef(it) => self.shape(&it.ty, env),
            ItemKind::Struct(_) if self.link(id).is_some() => Some(quote!(ndr::Chain)),
            ItemKind::Pipe(inner) => {
                let inner = self.whole(inner, env);
                Some(quote!(ndr::Chunks(#inner)))
            }
            ItemKind::Union(it) if !matches!(it.switch, Switch::Encapsulated { .. }) => {
                Some(self.switched(id, None, env))
            }
            _ => None,
        }
    }

    fn switched(
        &self,
        id: ItemId,
        switch: Option<&crate::model::ndr::Expr>,
        env: &Env<'_>,
    ) -> TokenStream {
        let number = self.number(switch, env);
        let outside = match &self.defs.item(id).kind {
            ItemKind::Union(it) => matches!(it.switch, Switch::Outside { .. }),
            _ => false,
        };
        match outside {
            true => quote!(ndr::Untagged(#number)),
            false => quote!(ndr::Switch(#number)),
        }
    }

    fn pointer(&self, it: &Pointer, env: &Env<'_>) -> TokenStream {
        if it.class == PointerClass::Ignore {
            return quote!(ndr::Ignored);
        }
        if it.class == PointerClass::Unique && self.list_of(&it.pointee).is_some() {
            return quote!(ndr::List);
        }
        let inner = self.lone_shape(&it.pointee, env);
        let boxed = self.is_boxed(&it.pointee)
            && !matches!(it.class, PointerClass::Ref | PointerClass::Full);
        let inner = match inner {
            Some(inner) if boxed => quote!(ndr::Boxed(#inner)),
            Some(inner) => inner,
            None => quote!(ndr::Plain),
        };
        match it.class {
            PointerClass::Ref => quote!(ndr::Ref(#inner)),
            PointerClass::Full => quote!(ndr::FullPointer(#inner)),
            PointerClass::Relative => quote!(ndr::Relative(#inner)),
            PointerClass::RelativeShort => quote!(ndr::RelativeShort(#inner)),
            PointerClass::Unique | PointerClass::Ignore => quote!(ndr::Unique(#inner)),
        }
    }

    fn array(&self, it: &Array, env: &Env<'_>) -> Option<TokenStream> {
        let element = self.shape(&it.element, env);
        if self.is_short(it) {
            let element = element?;
            return Some(
                it.dimensions
                    .iter()
                    .fold(element, |inner, _| quote!(ndr::Each(#inner))),
            );
        }
        let element = element.unwrap_or_else(|| quote!(ndr::Plain));
        match &it.dimensions[..] {
            [dim] => Some(self.extended(&dim.extent, dim.slice.as_ref(), element, env)),
            dims => Some(self.dimensions(dims, element, env)),
        }
    }

    /// An array of one dimension.
    fn extended(
        &self,
        extent: &Extent,
        slice: Option<&Slice>,
        element: TokenStream,
        env: &Env<'_>,
    ) -> TokenStream {
        let span = slice.map(|slice| self.span(slice, env));
        let size = match extent {
            Extent::Fixed(n) => literal((*n).into(), false),
            Extent::Conformant(size) => self.number(size.as_ref(), env),
            Extent::Computed(size) => self.number(Some(size), env),
            Extent::Remaining => return quote!(ndr::Remaining(#element)),
        };
        match (extent, span) {
            (Extent::Conformant(_), None) => quote!(ndr::Conformant(#size, #element)),
            (Extent::Conformant(_), Some(span)) => {
                quote!(ndr::ConformantVarying(#size, #span, #element))
            }
            (_, None) => quote!(ndr::Counted(#size, #element)),
            (_, Some(span)) => quote!(ndr::Varying(#size, #span, #element)),
        }
    }

    fn span(&self, slice: &Slice, env: &Env<'_>) -> TokenStream {
        let length = self.number(slice.length.as_ref(), env);
        match &slice.first {
            None => quote!(ndr::Span::len(#length)),
            Some(first) => {
                let first = self.number(Some(first), env);
                quote!(ndr::Span { first: #first, len: #length })
            }
        }
    }

    fn dimensions(
        &self,
        dims: &[crate::model::ndr::Dimension],
        element: TokenStream,
        env: &Env<'_>,
    ) -> TokenStream {
        let conformant = dims
            .iter()
            .any(|dim| matches!(dim.extent, Extent::Conformant(_)));
        let each = dims.iter().map(|dim| {
            let size = match &dim.extent {
                Extent::Fixed(n) => literal((*n).into(), false),
                Extent::Conformant(size) => self.number(size.as_ref(), env),
                Extent::Computed(size) => self.number(Some(size), env),
                Extent::Remaining => quote!(ndr::ANY),
            };
            let span = match &dim.slice {
                None => quote!(None),
                Some(slice) => {
                    let span = self.span(slice, env);
                    quote!(Some(#span))
                }
            };
            quote!(ndr::Dimension { size: #size, span: #span })
        });
        quote!(ndr::Dimensions([#(#each),*], #conformant, #element))
    }

    fn string(&self, it: &Str, env: &Env<'_>) -> TokenStream {
        if !it.terminated {
            return self.extended(&it.extent, it.slice.as_ref(), quote!(ndr::Plain), env);
        }
        match &it.extent {
            Extent::Fixed(n) => {
                let n = literal((*n).into(), false);
                quote!(ndr::VaryingString(#n))
            }
            Extent::Conformant(size) => {
                let size = self.number(size.as_ref(), env);
                quote!(ndr::ConformantString(#size))
            }
            Extent::Computed(size) => {
                let size = self.number(Some(size), env);
                quote!(ndr::VaryingString(#size))
            }
            Extent::Remaining => quote!(ndr::VaryingString(ndr::ANY)),
        }
    }

    fn subcontext(&self, it: &Subcontext, env: &Env<'_>) -> TokenStream {
        let inner = match it.compression {
            Some(_) => quote!(ndr::Remaining(ndr::Plain)),
            None => self.whole(&it.inner, env),
        };
        let size = match &it.size {
            None => quote!(ndr::ANY),
            Some(size) => self.number(Some(size), env),
        };
        let header = match it.header {
            SubcontextHeader::None => quote!(None),
            SubcontextHeader::Short => quote!(Short),
            SubcontextHeader::Long => quote!(Long),
            SubcontextHeader::Pickle => quote!(Pickle),
        };
        quote!(ndr::Subcontext(ndr::Header::#header, #size, #inner))
    }
}

/// The Rust type of a scalar.
pub(crate) fn base_type(base: Base) -> TokenStream {
    use Base::*;
    match base {
        Boolean => quote!(bool),
        Byte | Char | USmall => quote!(u8),
        Small => quote!(i8),
        WChar | UShort | UInt1632 => quote!(u16),
        Short => quote!(i16),
        Long => quote!(i32),
        ULong | ErrorStatus => quote!(u32),
        Hyper | Int3264 | DLong => quote!(i64),
        UHyper | UInt3264 | UDLong | UDLongR => quote!(u64),
        Float => quote!(f32),
        Double => quote!(f64),
        Ipv4 => quote!([u8; 4]),
        Ipv6 => quote!([u8; 16]),
        Uuid => quote!(::farcall_wire::Uuid),
    }
}

fn base_shape(base: Base) -> Option<TokenStream> {
    Some(match base {
        Base::Int3264 => quote!(ndr::Int3264),
        Base::UInt3264 => quote!(ndr::UInt3264),
        Base::UInt1632 => quote!(ndr::UInt1632),
        Base::DLong => quote!(ndr::DLong),
        Base::UDLong => quote!(ndr::UDLong),
        Base::UDLongR => quote!(ndr::UDLongR),
        Base::Ipv4 => quote!(ndr::Ipv4),
        _ => return None,
    })
}

fn text_type(wide: bool) -> TokenStream {
    match wide {
        true => quote!(ndr::WideStr),
        false => quote!(::farcall_wire::Str),
    }
}

fn flagged_type(it: &FlaggedString) -> TokenStream {
    text_type(matches!(
        it.encoding,
        Encoding::Utf16 | Encoding::Utf16Munged
    ))
}

/// pidl's own strings.
fn flagged(it: &FlaggedString) -> TokenStream {
    let counts = match it.counts {
        StringCounts::None => quote!(None),
        StringCounts::Size4 => quote!(Size4),
        StringCounts::Size2 => quote!(Size2),
        StringCounts::Length4 => quote!(Length4),
        StringCounts::SizeLength4 => quote!(SizeLength4),
        StringCounts::LargeSize => quote!(LargeSize),
        StringCounts::Fixed(n) => {
            let n = Literal::u32_unsuffixed(n);
            quote!(Fixed(#n))
        }
    };
    let (terminated, bytes) = (it.terminated, it.byte_size);
    quote! {
        ndr::FlaggedString {
            counts: ndr::StringCounts::#counts,
            terminated: #terminated,
            byte_size: #bytes,
        }
    }
}

/// What flags change, as a `Part`.
pub(crate) fn part(flags: Flags) -> TokenStream {
    let order = flags.big_endian.map(|big| match big {
        true => quote!(.order(ndr::Order::Big)),
        false => quote!(.order(ndr::Order::Little)),
    });
    let packed = flags.no_align.then(|| quote!(.packed()));
    let narrow = flags.no_ndr64.then(|| quote!(.narrow()));
    let align = flags.align.map(|align| {
        let align = Literal::u8_unsuffixed(align);
        quote!(.align(#align))
    });
    quote!(ndr::Part::SAME #order #packed #narrow #align)
}
