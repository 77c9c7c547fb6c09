//! The walks over a value whose type is known at run time only, made of the same shapes that generated code is.

use std::borrow::Cow;
use std::cell::RefCell;

use farcall_wire::ndr::{
    ANY, Align, Boxed, Chunks, Conformant, ConformantString, ConformantVarying, Counted,
    CountedBlob, Dimension, Dimensions, Filler, FlaggedString, Full, FullPointer, Header, Ignored,
    Matrix, Order, Part, Pipe, Plain, Put, Reader, Ref, Relative, RelativeShort, Remaining,
    Sequence, Shape, Span, StringArray, StringCounts, Subcontext, Take, Text, Unique, Varying,
    VaryingString, WideStr, Writer,
};
use farcall_wire::{Bytes, EncodeError, EncodeErrorKind, Str};

use super::composite::{Arms, ListAt, Nodes, Record};
use super::eval::shaped;
use super::layout::Layout;
use super::number::Scalar;
use super::val::{Choice, Val};
use crate::dynamic::Error;
use crate::model::ndr::{
    self as model, Base, Blob, Definitions, Encoding, Extent, Flags, ItemId, ItemKind,
    PointerClass, Slice, Type,
};

// req: idl-dynamic-bounded
/// A type at its place: what expressions may name is at hand.
#[derive(Clone, Copy)]
pub(super) struct Dyn<'a> {
    pub(super) defs: &'a Definitions,
    pub(super) layout: &'a Layout,
    pub(super) ty: &'a Type,
    /// The fields or parameters beside it.
    pub(super) here: &'a [Val],
    pub(super) trail: &'a Trail,
}

/// The fields that an error came through, innermost first.
#[derive(Debug, Default)]
pub(super) struct Trail(RefCell<Vec<String>>);

impl Trail {
    /// The same result; an error in it came through the field.
    pub(super) fn note<E>(&self, result: Result<(), E>, field: &str) -> Result<(), E> {
        if result.is_err() {
            self.0.borrow_mut().push(field.to_owned());
        }
        result
    }

    /// The error with the fields that it came through.
    pub(super) fn lead(&self, error: Error) -> Error {
        let fields = std::mem::take(&mut *self.0.borrow_mut());
        fields.iter().fold(error, |error, field| error.at(field))
    }
}

/// Something done to a value that is written, in its shape.
trait Puts {
    fn go<T: Default, S: Shape<T>>(&mut self, shape: S, it: &T) -> Put;
}

/// Something done to a value that is read, in its shape.
trait Takes {
    fn go<T: Default, S: Shape<T>>(&mut self, shape: S, it: &mut T) -> Take;
}

struct PutCounts<'w>(&'w mut Writer);
struct PutFlat<'w>(&'w mut Writer);
struct PutReferents<'w>(&'w mut Writer);
struct TakeCounts<'r, 'b>(&'r mut Reader<'b>);
struct TakeFlat<'r, 'b>(&'r mut Reader<'b>);
struct TakeReferents<'r, 'b>(&'r mut Reader<'b>);

impl Puts for PutCounts<'_> {
    fn go<T: Default, S: Shape<T>>(&mut self, shape: S, it: &T) -> Put {
        shape.put_counts(it, self.0)
    }
}
impl Puts for PutFlat<'_> {
    fn go<T: Default, S: Shape<T>>(&mut self, shape: S, it: &T) -> Put {
        shape.put(it, self.0)
    }
}
impl Puts for PutReferents<'_> {
    fn go<T: Default, S: Shape<T>>(&mut self, shape: S, it: &T) -> Put {
        shape.put_referents(it, self.0)
    }
}
impl Takes for TakeCounts<'_, '_> {
    fn go<T: Default, S: Shape<T>>(&mut self, shape: S, _: &mut T) -> Take {
        shape.take_counts(self.0)
    }
}
impl Takes for TakeFlat<'_, '_> {
    fn go<T: Default, S: Shape<T>>(&mut self, shape: S, it: &mut T) -> Take {
        shape.take(it, self.0)
    }
}
impl Takes for TakeReferents<'_, '_> {
    fn go<T: Default, S: Shape<T>>(&mut self, shape: S, it: &mut T) -> Take {
        shape.take_referents(it, self.0)
    }
}

impl Shape<Val> for Dyn<'_> {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 0;

    fn put_counts(self, it: &Val, w: &mut Writer) -> Put {
        self.put_by(it, &mut PutCounts(w))
    }
    fn put(self, it: &Val, w: &mut Writer) -> Put {
        self.put_by(it, &mut PutFlat(w))
    }
    fn put_referents(self, it: &Val, w: &mut Writer) -> Put {
        self.put_by(it, &mut PutReferents(w))
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        self.take_by(&mut Val::Nothing, &mut TakeCounts(r))
    }
    fn take(self, it: &mut Val, r: &mut Reader<'_>) -> Take {
        self.take_by(it, &mut TakeFlat(r))
    }
    fn take_referents(self, it: &mut Val, r: &mut Reader<'_>) -> Take {
        self.take_by(it, &mut TakeReferents(r))
    }
}

impl<'a> Dyn<'a> {
    pub(super) fn of(self, ty: &'a Type) -> Self {
        Self { ty, ..self }
    }

    fn put_by<P: Puts>(self, it: &Val, p: &mut P) -> Put {
        match (self.ty, it) {
            (Type::Void | Type::Absent, _) => Ok(()),
            (Type::Base(_), it) => p.go(Scalar(self), it),
            (Type::Range(inner, ..), it) => self.of(inner).put_by(it, p),
            (Type::Named(id) | Type::Union(id, _), it) => self.put_item(*id, it, p),
            (Type::Pointer(at), it) => self.put_pointer(at, it, p),
            (Type::Array(at), it) => self.put_array(at, it, p),
            (Type::String(at), Val::Wide(it)) => self.put_text(at, it, p),
            (Type::String(at), Val::Text(it)) => self.put_text(at, it, p),
            (Type::Interface(_), Val::Object(it)) => p.go(Plain, it),
            (Type::Pipe(inner), Val::Pipe(it)) => p.go(Chunks(self.of(inner)), it),
            (Type::ContextHandle, Val::Handle(it)) => p.go(Plain, it),
            (Type::FlaggedString(at), Val::Wide(it)) => p.go(flagged(at), it),
            (Type::FlaggedString(at), Val::Text(it)) => p.go(flagged(at), it),
            (Type::StringArray(at), Val::Wides(it)) => p.go(StringArray(flagged(at)), it),
            (Type::StringArray(at), Val::Texts(it)) => p.go(StringArray(flagged(at)), it),
            (Type::Blob(Blob::Counted), Val::Bytes(it)) => p.go(CountedBlob, it),
            (Type::Blob(Blob::Remaining), Val::Bytes(it)) => p.go(Remaining(Plain), it),
            (Type::Blob(Blob::Align(n)), Val::Bytes(it)) => p.go(Filler(*n), it),
            (Type::Subcontext(at), it) => {
                let (header, size) = (header(at), shaped(at.size.as_ref(), self.here));
                match it {
                    Val::Bytes(it) if at.compression.is_some() => {
                        p.go(Subcontext(header, size, Remaining(Plain)), it)
                    }
                    it => p.go(Subcontext(header, size, self.of(&at.inner)), it),
                }
            }
            _ => Err(misfit()),
        }
    }

    fn take_by<T: Takes>(self, it: &mut Val, t: &mut T) -> Take {
        self.prepare(it);
        match (self.ty, it) {
            (Type::Void | Type::Absent, _) => Ok(()),
            (Type::Base(_), it) => t.go(Scalar(self), it),
            (Type::Range(inner, ..), it) => self.of(inner).take_by(it, t),
            (Type::Named(id) | Type::Union(id, _), it) => self.take_item(*id, it, t),
            (Type::Pointer(at), it) => self.take_pointer(at, it, t),
            (Type::Array(at), it) => self.take_array(at, it, t),
            (Type::String(at), Val::Wide(it)) => self.take_text(at, it, t),
            (Type::String(at), Val::Text(it)) => self.take_text(at, it, t),
            (Type::Interface(_), Val::Object(it)) => t.go(Plain, it),
            (Type::Pipe(inner), Val::Pipe(it)) => t.go(Chunks(self.of(inner)), it),
            (Type::ContextHandle, Val::Handle(it)) => t.go(Plain, it),
            (Type::FlaggedString(at), Val::Wide(it)) => t.go(flagged(at), it),
            (Type::FlaggedString(at), Val::Text(it)) => t.go(flagged(at), it),
            (Type::StringArray(at), Val::Wides(it)) => t.go(StringArray(flagged(at)), it),
            (Type::StringArray(at), Val::Texts(it)) => t.go(StringArray(flagged(at)), it),
            (Type::Blob(Blob::Counted), Val::Bytes(it)) => t.go(CountedBlob, it),
            (Type::Blob(Blob::Remaining), Val::Bytes(it)) => t.go(Remaining(Plain), it),
            (Type::Blob(Blob::Align(n)), Val::Bytes(it)) => t.go(Filler(*n), it),
            (Type::Subcontext(at), it) => {
                let (header, size) = (header(at), shaped(at.size.as_ref(), self.here));
                match it {
                    Val::Bytes(it) if at.compression.is_some() => {
                        t.go(Subcontext(header, size, Remaining(Plain)), it)
                    }
                    it => t.go(Subcontext(header, size, self.of(&at.inner)), it),
                }
            }
            _ => Ok(()),
        }
    }

    fn put_item<P: Puts>(self, id: ItemId, it: &Val, p: &mut P) -> Put {
        match (&self.defs.item(id).kind, it) {
            (ItemKind::Enum(_) | ItemKind::Bitmap(_), it) => p.go(Scalar(self), it),
            (ItemKind::Struct(_), Val::Items(it)) => match self.nodes(id) {
                Some(nodes) => p.go(nodes, it),
                None => Err(misfit()),
            },
            (ItemKind::Struct(at), Val::Fields(it)) => p.go(
                Record {
                    outer: self,
                    id,
                    at,
                },
                it,
            ),
            (ItemKind::Union(at), Val::Choice(it)) => p.go(
                Arms {
                    outer: self,
                    id,
                    at,
                },
                it,
            ),
            (ItemKind::Typedef(at), it) => self.of(&at.ty).put_by(it, p),
            (ItemKind::ContextHandle(_), Val::Handle(it)) => p.go(Plain, it),
            (ItemKind::Pipe(inner), Val::Pipe(it)) => p.go(Chunks(self.of(inner)), it),
            _ => Err(misfit()),
        }
    }

    fn take_item<T: Takes>(self, id: ItemId, it: &mut Val, t: &mut T) -> Take {
        match (&self.defs.item(id).kind, it) {
            (ItemKind::Enum(_) | ItemKind::Bitmap(_), it) => t.go(Scalar(self), it),
            (ItemKind::Struct(_), Val::Items(it)) => match self.nodes(id) {
                Some(nodes) => t.go(nodes, it),
                None => Ok(()),
            },
            (ItemKind::Struct(at), Val::Fields(it)) => t.go(
                Record {
                    outer: self,
                    id,
                    at,
                },
                it,
            ),
            (ItemKind::Union(at), Val::Choice(it)) => t.go(
                Arms {
                    outer: self,
                    id,
                    at,
                },
                it,
            ),
            (ItemKind::Typedef(at), it) => self.of(&at.ty).take_by(it, t),
            (ItemKind::ContextHandle(_), Val::Handle(it)) => t.go(Plain, it),
            (ItemKind::Pipe(inner), Val::Pipe(it)) => t.go(Chunks(self.of(inner)), it),
            _ => Ok(()),
        }
    }

    /// The list that values of a struct make.
    fn nodes(self, id: ItemId) -> Option<Nodes<'a>> {
        let link = self.layout.link(id)?;
        let ItemKind::Struct(at) = &self.defs.item(id).kind else {
            return None;
        };
        let record = Record {
            outer: self,
            id,
            at,
        };
        Some(Nodes { record, link })
    }

    /// The list that a unique pointer to the type points to.
    fn list_at(self, pointee: &'a Type) -> Option<ListAt<'a>> {
        match self.defs.on_wire(pointee) {
            Type::Named(id) => self.nodes(*id).map(ListAt),
            _ => None,
        }
    }

    fn put_pointer<P: Puts>(self, at: &'a model::Pointer, it: &Val, p: &mut P) -> Put {
        let inner = self.of(&at.pointee);
        match (at.class, it) {
            (PointerClass::Unique, Val::Items(it)) => match self.list_at(&at.pointee) {
                Some(list) => p.go(list, it),
                None => Err(misfit()),
            },
            (PointerClass::Ignore, _) => p.go(Ignored, &()),
            (PointerClass::Full, Val::Full(it)) => p.go(FullPointer(inner), it),
            (PointerClass::Ref, Val::Pointer(Some(it))) => p.go(Ref(Boxed(inner)), it),
            (PointerClass::Unique, Val::Pointer(it)) => p.go(Unique(Boxed(inner)), it),
            (PointerClass::Relative, Val::Pointer(it)) => p.go(Relative(Boxed(inner)), it),
            (PointerClass::RelativeShort, Val::Pointer(it)) => {
                p.go(RelativeShort(Boxed(inner)), it)
            }
            _ => Err(misfit()),
        }
    }

    fn take_pointer<T: Takes>(self, at: &'a model::Pointer, it: &mut Val, t: &mut T) -> Take {
        let inner = self.of(&at.pointee);
        match (at.class, it) {
            (PointerClass::Unique, Val::Items(it)) => match self.list_at(&at.pointee) {
                Some(list) => t.go(list, it),
                None => Ok(()),
            },
            (PointerClass::Ignore, _) => t.go(Ignored, &mut ()),
            (PointerClass::Full, Val::Full(it)) => t.go(FullPointer(inner), it),
            (PointerClass::Ref, Val::Pointer(it)) => {
                t.go(Ref(Boxed(inner)), it.get_or_insert_default())
            }
            (PointerClass::Unique, Val::Pointer(it)) => t.go(Unique(Boxed(inner)), it),
            (PointerClass::Relative, Val::Pointer(it)) => t.go(Relative(Boxed(inner)), it),
            (PointerClass::RelativeShort, Val::Pointer(it)) => {
                t.go(RelativeShort(Boxed(inner)), it)
            }
            _ => Ok(()),
        }
    }

    fn put_array<P: Puts>(self, at: &'a model::Array, it: &Val, p: &mut P) -> Put {
        let element = self.of(&at.element);
        match (at.dimensions.as_slice(), it) {
            ([dim], Val::Bytes(it)) => self.put_extended(dim, it, Plain, p),
            ([dim], Val::Wide(it)) => self.put_extended(dim, it, Plain, p),
            ([dim], Val::Items(it)) => self.put_extended(dim, it, element, p),
            (dims, Val::Matrix(it)) => {
                let conformant = is_conformant(dims);
                let it = &self.filled(dims, it);
                match dims.len() {
                    2 => p.go(Dimensions(self.dims::<2>(dims), conformant, element), it),
                    3 => p.go(Dimensions(self.dims::<3>(dims), conformant, element), it),
                    4 => p.go(Dimensions(self.dims::<4>(dims), conformant, element), it),
                    _ => Err(misfit()),
                }
            }
            _ => Err(misfit()),
        }
    }

    fn take_array<T: Takes>(self, at: &'a model::Array, it: &mut Val, t: &mut T) -> Take {
        let element = self.of(&at.element);
        match (at.dimensions.as_slice(), it) {
            ([dim], Val::Bytes(it)) => self.take_extended(dim, it, Plain, t),
            ([dim], Val::Wide(it)) => self.take_extended(dim, it, Plain, t),
            ([dim], Val::Items(it)) => self.take_extended(dim, it, element, t),
            (dims, Val::Matrix(it)) => {
                let conformant = is_conformant(dims);
                match dims.len() {
                    2 => t.go(Dimensions(self.dims::<2>(dims), conformant, element), it),
                    3 => t.go(Dimensions(self.dims::<3>(dims), conformant, element), it),
                    4 => t.go(Dimensions(self.dims::<4>(dims), conformant, element), it),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// JSON does not say how long the rows of no rows are: the attributes do.
    fn filled<'v>(self, dims: &[model::Dimension], it: &'v Matrix<Val>) -> Cow<'v, Matrix<Val>> {
        if !it.items.is_empty() {
            return Cow::Borrowed(it);
        }
        let sizes = dims.iter().zip(&it.dims).map(|(dim, len)| {
            let span = dim.slice.as_ref().map(|slice| self.span(slice).len);
            let size = span.filter(|len| *len != ANY);
            let size = size.unwrap_or_else(|| self.size(&dim.extent));
            usize::try_from(size).unwrap_or(*len)
        });
        Cow::Owned(Matrix {
            dims: sizes.collect(),
            items: Vec::new(),
        })
    }

    fn dims<const N: usize>(self, dims: &[model::Dimension]) -> [Dimension; N] {
        std::array::from_fn(|at| {
            let dim = dims.get(at);
            Dimension {
                size: dim.map_or(ANY, |dim| self.size(&dim.extent)),
                span: dim
                    .and_then(|dim| dim.slice.as_ref())
                    .map(|it| self.span(it)),
            }
        })
    }

    fn size(self, extent: &Extent) -> i64 {
        match extent {
            Extent::Fixed(n) => i64::from(*n),
            Extent::Conformant(size) => shaped(size.as_ref(), self.here),
            Extent::Computed(size) => shaped(Some(size), self.here),
            Extent::Remaining => ANY,
        }
    }

    fn span(self, slice: &Slice) -> Span {
        Span {
            first: shaped(slice.first.as_ref(), self.here),
            len: shaped(slice.length.as_ref(), self.here),
        }
    }

    fn put_extended<Q: Sequence, S: Shape<Q::Item>, P: Puts>(
        self,
        dim: &model::Dimension,
        it: &Q,
        element: S,
        p: &mut P,
    ) -> Put {
        self.put_extent(&dim.extent, dim.slice.as_ref(), it, element, p)
    }

    fn put_extent<Q: Sequence, S: Shape<Q::Item>, P: Puts>(
        self,
        extent: &Extent,
        slice: Option<&Slice>,
        it: &Q,
        element: S,
        p: &mut P,
    ) -> Put {
        let size = self.size(extent);
        match (extent, slice.map(|slice| self.span(slice))) {
            (Extent::Remaining, _) => p.go(Remaining(element), it),
            (Extent::Conformant(_), None) => p.go(Conformant(size, element), it),
            (Extent::Conformant(_), Some(span)) => p.go(ConformantVarying(size, span, element), it),
            (_, None) => p.go(Counted(size, element), it),
            (_, Some(span)) => p.go(Varying(size, span, element), it),
        }
    }

    fn take_extended<Q: Sequence, S: Shape<Q::Item>, T: Takes>(
        self,
        dim: &model::Dimension,
        it: &mut Q,
        element: S,
        t: &mut T,
    ) -> Take {
        self.take_extent(&dim.extent, dim.slice.as_ref(), it, element, t)
    }

    fn take_extent<Q: Sequence, S: Shape<Q::Item>, T: Takes>(
        self,
        extent: &Extent,
        slice: Option<&Slice>,
        it: &mut Q,
        element: S,
        t: &mut T,
    ) -> Take {
        let size = self.size(extent);
        match (extent, slice.map(|slice| self.span(slice))) {
            (Extent::Remaining, _) => t.go(Remaining(element), it),
            (Extent::Conformant(_), None) => t.go(Conformant(size, element), it),
            (Extent::Conformant(_), Some(span)) => t.go(ConformantVarying(size, span, element), it),
            (_, None) => t.go(Counted(size, element), it),
            (_, Some(span)) => t.go(Varying(size, span, element), it),
        }
    }

    fn put_text<Q: Text, P: Puts>(self, at: &model::Str, it: &Q, p: &mut P) -> Put {
        if !at.terminated {
            return self.put_extent(&at.extent, at.slice.as_ref(), it, Plain, p);
        }
        let size = self.size(&at.extent);
        match &at.extent {
            Extent::Conformant(_) => p.go(ConformantString(size), it),
            _ => p.go(VaryingString(size), it),
        }
    }

    fn take_text<Q: Text, T: Takes>(self, at: &model::Str, it: &mut Q, t: &mut T) -> Take {
        if !at.terminated {
            return self.take_extent(&at.extent, at.slice.as_ref(), it, Plain, t);
        }
        let size = self.size(&at.extent);
        match &at.extent {
            Extent::Conformant(_) => t.go(ConformantString(size), it),
            _ => t.go(VaryingString(size), it),
        }
    }

    /// Makes an empty value of the kind that the type has.
    fn prepare(self, it: &mut Val) {
        if !matches!(it, Val::Nothing) {
            return;
        }
        *it = match self.ty {
            Type::Pointer(at) if at.class == PointerClass::Full => Val::Full(Full::Null),
            Type::Pointer(at)
                if at.class == PointerClass::Unique
                    && self.layout.is_list(self.defs, &at.pointee) =>
            {
                Val::Items(Vec::new())
            }
            Type::Pointer(_) => Val::Pointer(None),
            Type::Array(at) => match at.dimensions.len() {
                1 => match self.element_kind(&at.element) {
                    Kind::Bytes => Val::Bytes(Bytes::new()),
                    Kind::Wide => Val::Wide(WideStr::default()),
                    Kind::Items => Val::Items(Vec::new()),
                },
                _ => Val::Matrix(Matrix::default()),
            },
            Type::String(at) if is_wide(at.encoding) => Val::Wide(WideStr::default()),
            Type::String(_) => Val::Text(Str::default()),
            Type::FlaggedString(at) if is_wide(at.encoding) => Val::Wide(WideStr::default()),
            Type::FlaggedString(_) => Val::Text(Str::default()),
            Type::StringArray(at) if is_wide(at.encoding) => Val::Wides(Vec::new()),
            Type::StringArray(_) => Val::Texts(Vec::new()),
            Type::Interface(_) => Val::Object(Default::default()),
            Type::Pipe(_) => Val::Pipe(Pipe::default()),
            Type::ContextHandle => Val::Handle(Default::default()),
            Type::Blob(_) => Val::Bytes(Bytes::new()),
            Type::Subcontext(at) if at.compression.is_some() => Val::Bytes(Bytes::new()),
            Type::Named(id) | Type::Union(id, _) => match &self.defs.item(*id).kind {
                ItemKind::Struct(_) if self.layout.link(*id).is_some() => Val::Items(Vec::new()),
                ItemKind::Struct(at) => {
                    let mut fields = Vec::new();
                    fields.resize_with(at.fields.len(), Val::default);
                    Val::Fields(fields)
                }
                ItemKind::Union(_) => Val::Choice(Choice::default()),
                ItemKind::ContextHandle(_) => Val::Handle(Default::default()),
                ItemKind::Pipe(_) => Val::Pipe(Pipe::default()),
                _ => return,
            },
            _ => return,
        };
    }

    /// How an array of such elements is kept.
    pub(super) fn element_kind(self, element: &Type) -> Kind {
        match self.defs.on_wire(element) {
            Type::Base(Base::Byte | Base::Char | Base::USmall) => Kind::Bytes,
            Type::Base(Base::WChar) => Kind::Wide,
            _ => Kind::Items,
        }
    }
}

/// How the elements of an array are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Wide,
    Items,
}

/// What flags change, if they change something.
pub(super) fn part(flags: Flags) -> Option<Part> {
    let mut part = Part::SAME;
    if let Some(big) = flags.big_endian {
        part = part.order(if big { Order::Big } else { Order::Little });
    }
    if flags.no_align {
        part = part.packed();
    }
    if flags.no_ndr64 {
        part = part.narrow();
    }
    if let Some(align) = flags.align {
        part = part.align(align);
    }
    (part != Part::SAME).then_some(part)
}

/// Whether characters are 16-bit units.
pub(super) fn is_wide(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::Utf16 | Encoding::Utf16Munged)
}

fn is_conformant(dims: &[model::Dimension]) -> bool {
    dims.iter()
        .any(|dim| matches!(dim.extent, Extent::Conformant(_)))
}

fn header(at: &model::Subcontext) -> Header {
    match at.header {
        model::SubcontextHeader::None => Header::None,
        model::SubcontextHeader::Short => Header::Short,
        model::SubcontextHeader::Long => Header::Long,
        model::SubcontextHeader::Pickle => Header::Pickle,
    }
}

fn flagged(at: &model::FlaggedString) -> FlaggedString {
    FlaggedString {
        counts: match at.counts {
            model::StringCounts::None => StringCounts::None,
            model::StringCounts::Size4 => StringCounts::Size4,
            model::StringCounts::Size2 => StringCounts::Size2,
            model::StringCounts::Length4 => StringCounts::Length4,
            model::StringCounts::SizeLength4 => StringCounts::SizeLength4,
            model::StringCounts::LargeSize => StringCounts::LargeSize,
            model::StringCounts::Fixed(n) => StringCounts::Fixed(n),
        },
        terminated: at.terminated,
        byte_size: at.byte_size,
    }
}

/// A value that is not of its type, which `from_json` does not make.
pub(super) fn misfit() -> EncodeError {
    EncodeError::new(EncodeErrorKind::Invalid("value is missing"))
}
