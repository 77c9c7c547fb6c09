//! Values on their way between JSON and NDR: what generated code would hold, for any type.

use farcall_wire::ndr::{ContextHandle, Full, InterfacePointer, Matrix, Pipe, WideStr};
use farcall_wire::{Bytes, Str, Uuid};

/// A value.
#[derive(Clone, Debug, Default)]
pub(super) enum Val {
    /// Not there yet, or nothing at all.
    #[default]
    Nothing,
    /// A number, a boolean, an enum, a bitmap.
    Int(i128),
    Float(f64),
    Uuid(Uuid),
    /// An address of 4 or 16 bytes.
    Address(Vec<u8>),
    Handle(ContextHandle),
    /// A struct.
    Fields(Vec<Val>),
    Choice(Choice),
    /// An array of one dimension.
    Items(Vec<Val>),
    Matrix(Matrix<Val>),
    /// An array of bytes, or a blob.
    Bytes(Bytes),
    /// A string of bytes.
    Text(Str),
    /// A string of 16-bit units.
    Wide(WideStr),
    Texts(Vec<Str>),
    Wides(Vec<WideStr>),
    /// A pointer that is no full pointer.
    Pointer(Option<Box<Val>>),
    Full(Full<Val>),
    Pipe(Pipe<Val>),
    Object(InterfacePointer),
}

/// A union's value.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// The discriminant.
    pub(super) tag: i64,
    /// The arm that it chooses, by index.
    pub(super) arm: usize,
    /// What the arm holds.
    pub(super) value: Box<Val>,
}

impl Val {
    /// The value as a number; 0 for what a null pointer would point to.
    pub(super) fn number(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Pointer(None) | Self::Full(Full::Null) => Some(0),
            Self::Pointer(Some(inner)) => inner.number(),
            Self::Full(Full::Value(_, inner)) => inner.number(),
            _ => None,
        }
    }

    /// How many elements or units it has.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Items(items) => Some(items.len()),
            Self::Bytes(bytes) => Some(bytes.len()),
            Self::Text(text) => Some(text.len()),
            Self::Wide(text) => Some(text.len()),
            Self::Pointer(Some(inner)) => inner.len(),
            Self::Pointer(None) => None,
            _ => None,
        }
    }
}
