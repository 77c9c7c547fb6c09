//! The NDR half of the model: everything that an `.idl` file says, resolved and checked.
//!
//! Read first: C706 chapters 4 and 14. Every language of `.idl` files (C706 with its ACF, MIDL, pidl) lowers to
//! this; names are resolved, expressions are trees, attributes are where they act, and what has no effect on the wire is gone.
//!
//! These hold for each model that is returned without an error:
//!
//! - names of items are unique; so are fields of a struct, values of an enum, cases of a union, and
//!   opnums of an interface;
//! - no value contains itself except behind a pointer;
//! - a conformant array (or a struct that ends in one) is the last field of a struct, or behind a
//!   pointer, or a parameter;
//! - typedefs of pointers do not appear in types: the pointer itself stands there, since its
//!   class depends on the place. A typedef with a conversion always stays.

mod expr;
mod types;

use std::collections::HashMap;

pub use expr::{BinaryOp, Expr, Function, Known, Place, Root, Step, UnaryOp};
use farcall_wire::Uuid;
pub use types::{
    Array, Base, Blob, Dimension, Encoding, Extent, FlaggedString, Iid, Pointer, PointerClass,
    Slice, Str, StringCounts, Subcontext, SubcontextHeader, Type,
};

use crate::diag::Span;

/// One item of [`Definitions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub u32);

/// One interface of [`Definitions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u32);

/// A field of a struct, or what an arm of a union holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the interface.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// pidl's `value`: computed when encoding, whatever the value says; checked by nobody.
    pub value: Option<Expr>,
    /// pidl's flags at this place: they hold for everything in the field.
    pub flags: Flags,
    /// pidl's `skip`: not on the wire (the type is what it would be), always the default.
    pub skip: bool,
    /// pidl's `noprint` and `flag(LIBNDR_PRINT_SECRET)`: not to be shown to people.
    pub hidden: bool,
    /// The comment in front of it or behind it, markers removed; empty if there is none.
    pub docs: String,
    /// Its declaration.
    pub span: Span,
}

/// pidl's `flag(…)`, as far as it changes the wire. They hold for everything inside, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `NDR_NOALIGN`: nothing is aligned.
    pub no_align: bool,
    /// `NDR_ALIGN2`, `4`, `8` on something that is no blob: aligned to this, both in front and behind.
    pub align: Option<u8>,
    /// `NDR_BIG_ENDIAN` (`Some(true)`) or `NDR_LITTLE_ENDIAN`, whatever the message has.
    pub big_endian: Option<bool>,
    /// `NDR_RELATIVE_REVERSE`: what relative pointers point to is laid out from the end backwards.
    pub relative_reverse: bool,
    /// `NDR_REMAINING` on something that is neither blob nor string.
    pub remaining: bool,
    /// `NDR_NO_RELATIVE_REVERSE`, which undoes an outer `relative_reverse`.
    pub no_relative_reverse: bool,
    /// `NDR_NO_NDR64`: in NDR's form also under NDR64.
    pub no_ndr64: bool,
    /// `NDR_SUBCONTEXT_NO_UNREAD_BYTES`: a subcontext that is not read to its end is refused.
    pub no_unread_bytes: bool,
}

/// How wide an enum is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnumWidth {
    /// pidl's `enum8bit`: 8 bits.
    Bits8,
    /// pidl's `enum16bit`: 16 bits in both syntaxes.
    Bits16,
    /// The default: 16 bits in NDR, 32 bits in NDR64.
    Default,
    /// `v1_enum`: 32 bits.
    Bits32,
}

/// A value of an enum, or a name in a bitmap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name in the interface.
    pub name: String,
    /// Its number: within the width, signed or unsigned.
    pub value: i64,
    /// The comment in front of it or behind it.
    pub docs: String,
    /// Its definition.
    pub span: Span,
}

/// An enum. Values that are not listed may be on the wire too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enum {
    /// The values, in source order; several names may have one number.
    pub values: Vec<Named>,
    /// How wide it is.
    pub width: EnumWidth,
}

/// pidl's bitmap: an unsigned integer some of whose bits have names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    /// The names, and the bits each stands for.
    pub bits: Vec<Named>,
    /// 8, 16, 32 or 64.
    pub width: u8,
}

/// A struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struct {
    /// The fields, in wire order. The last one may be a conformant array or a struct that ends in one.
    pub fields: Vec<Field>,
    /// pidl's `relative_base`: relative pointers inside count from its first byte.
    pub relative_base: bool,
    /// pidl's flags on the whole.
    pub flags: Flags,
}

/// What says which arm a union has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch {
    /// `union switch (type tag) member`: the tag is part of the value, in front of the arm.
    Encapsulated {
        /// The tag's name in the interface.
        tag: String,
        /// Its type: an integer, boolean, character or enum.
        ty: Type,
        /// The name of the union inside; `tagged_union` if none was written.
        member: String,
    },
    /// `switch_type(type)`: on the wire in front of the arm, and given by `switch_is` too.
    Separate {
        /// Its type: an integer, boolean, character or enum.
        ty: Type,
    },
    /// pidl's `nodiscriminant`: given by `switch_is` alone.
    Outside {
        /// The type of the value that `switch_is` gives, if it is known.
        ty: Option<Type>,
    },
}

/// One value of a union's discriminant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The value.
    pub value: i64,
    /// The name that was written for it: of an enum's value or a constant.
    pub name: Option<String>,
    /// Where it is written.
    pub span: Span,
}

/// An arm of a union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// The values that choose it; none for the default arm alone.
    pub cases: Vec<Case>,
    /// Whether it is chosen by all values that no case has; one arm at most.
    pub default: bool,
    /// What it holds; `None` for an empty arm.
    pub field: Option<Field>,
    /// The arm.
    pub span: Span,
}

/// A union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Union {
    /// What says which arm it has.
    pub switch: Switch,
    /// The arms, in source order.
    pub arms: Vec<Arm>,
    /// MIDL's `ms_union`: each arm is aligned as the largest one.
    pub ms_union: bool,
    /// pidl's flags on the whole.
    pub flags: Flags,
    /// pidl's `relative_base`.
    pub relative_base: bool,
}

/// How values of a typedef differ from what is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// `transmit_as(wire)`: the program sees `local`, the wire has the typedef's type.
    TransmitAs {
        /// What the program sees.
        local: Type,
    },
    /// `represent_as(local)`: the program sees a type of its own.
    RepresentAs {
        /// The name of the program's type.
        local: String,
    },
    /// `wire_marshal(wire)`: as `transmit_as`, with the program's own code for memory.
    WireMarshal {
        /// What the program sees, by name.
        local: Type,
    },
    /// `user_marshal(local)`: as `represent_as`.
    UserMarshal {
        /// The name of the program's type.
        local: String,
    },
    /// `cs_char(local)`: characters that are converted between character sets.
    CsChar {
        /// The name of the program's character type.
        local: String,
    },
}

/// Another name for a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typedef {
    /// What is on the wire.
    pub ty: Type,
    /// How the program's values differ, if they do.
    pub conversion: Option<Conversion>,
}

/// A typedef with `context_handle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextHandle {
    /// MIDL's `type_strict_context_handle` (and pidl's `policy_handle` is not): a handle of another type is refused.
    pub type_strict: bool,
    /// MIDL's `strict_context_handle`: a handle of another interface is refused.
    pub strict: bool,
    /// MIDL's `context_handle_serialize`: calls with the handle run one after the other. The default.
    pub serialize: bool,
    /// MIDL's `context_handle_noserialize`: calls with the handle may run at the same time.
    pub no_serialize: bool,
}

/// The value of a `const`.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Of an integer, character or boolean type.
    Integer(i128),
    /// Of a floating-point type.
    Float(f64),
    /// `char *`
    String(String),
    /// `wchar_t *`
    WideString(String),
    /// `NULL`
    Null,
    /// Of a GUID type.
    Uuid(Uuid),
}

/// What an item is.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    /// A constant, from `const` or from a `#define` of an integer.
    Const {
        /// Its type; [`Type::Void`] for a `#define` and for strings.
        ty: Type,
        /// Its value.
        value: Constant,
    },
    /// An enum.
    Enum(Enum),
    /// A bitmap.
    Bitmap(Bitmap),
    /// A struct.
    Struct(Struct),
    /// A union, encapsulated or not.
    Union(Union),
    /// A typedef that adds something or names something.
    Typedef(Typedef),
    /// A context handle type: 20 bytes.
    ContextHandle(ContextHandle),
    /// A pipe type of such elements.
    Pipe(Type),
}

/// A definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its name in the interface. Types nested without a name are called `Outer_field`. A
    /// struct whose typedef has another name than its tag is an item under the typedef's name if the tag
    /// is not used elsewhere.
    pub name: String,
    /// The comment in front of it.
    pub docs: String,
    /// Its name's place, or the nested definition's.
    pub span: Span,
    /// The interface it was defined in; `None` outside of interfaces.
    pub interface: Option<InterfaceId>,
    /// Whether it is of an imported file, not of the file that was asked for.
    pub imported: bool,
    /// Whether some operation or `encode`d type of the file that was asked for needs it, or it is the file's own.
    pub used: bool,
    /// pidl's `nopush`/`nopull`: its C code is written by hand, so that the wire may differ from what is said
    /// here; `dom_sid` and its like are the best known.
    pub handwritten: bool,
    /// pidl's `public`, or an ACF's `encode`/`decode`: wanted by itself, as type serialization.
    pub public: bool,
    /// An ACF's `encode`, at the type or at its interface: its values are made bytes of their own.
    pub encode: bool,
    /// An ACF's `decode`: they come from bytes of their own.
    pub decode: bool,
    /// What it is.
    pub kind: ItemKind,
}

/// A parameter of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type. [`PointerClass::Ref`] directly here has no referent id on the wire.
    pub ty: Type,
    /// Whether it goes to the server.
    pub is_in: bool,
    /// Whether it comes back.
    pub is_out: bool,
    /// pidl's `value`.
    pub value: Option<Expr>,
    /// pidl's flags.
    pub flags: Flags,
    /// Not to be shown to people.
    pub hidden: bool,
    /// It is the status that `comm_status` speaks of.
    pub comm_status: bool,
    /// It is the status that `fault_status` speaks of.
    pub fault_status: bool,
    /// `retval`: it takes the place of the result for people.
    pub retval: bool,
    /// `optional`: may be left out by people who call; on the wire it is never.
    pub optional: bool,
    /// The comment in front of it or behind it.
    pub docs: String,
    /// Its declaration.
    pub span: Span,
}

/// How an operation gets its binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handle {
    /// `auto_handle`, or nothing was said.
    Auto,
    /// `implicit_handle`: a variable of this name.
    Implicit(String),
    /// `explicit_handle`, or a parameter of type `handle_t` of this name (which is not among the parameters).
    Explicit(String),
    /// The parameter with this index is a `[handle]` type that the program turns into a binding.
    Custom(usize),
    /// The parameter with this index is an `in` context handle.
    Context(usize),
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number in the interface. For an interface of objects those of the base come first.
    pub opnum: u16,
    /// Its name.
    pub name: String,
    /// What is on the wire, in order: without `handle_t` and asynchronous call handles.
    pub params: Vec<Parameter>,
    /// Its result: [`Type::Void`], a scalar, an enum, or a context handle.
    pub result: Type,
    /// Executing it twice is as good as once.
    pub idempotent: bool,
    /// `broadcast`.
    pub broadcast: bool,
    /// `maybe`: there is no reply.
    pub maybe: bool,
    /// `message`: asynchronous, with no reply.
    pub message: bool,
    /// `async`: its asynchronous form is asked for. Every operation has one here.
    pub asynchronous: bool,
    /// `call_as`: the local operation in whose place this one is on the wire.
    pub call_as: Option<String>,
    /// How it gets its binding.
    pub handle: Handle,
    /// The result is the status that `comm_status` speaks of: 0 or how the call failed.
    pub comm_status: bool,
    /// The result is the status that `fault_status` speaks of.
    pub fault_status: bool,
    /// The ACF's `encode`: arguments become a serialized procedure.
    pub encode: bool,
    /// The ACF's `decode`.
    pub decode: bool,
    /// It is a method of an object: on the wire `ORPCTHIS` is in front of what goes, `ORPCTHAT` in front of
    /// what comes back (MS-DCOM 2.2.13).
    pub object: bool,
    /// pidl's `todo`, or an operation of which only its number is known: nothing is on the wire.
    pub unknown: bool,
    /// The comment in front of it.
    pub docs: String,
    /// Its name's place.
    pub span: Span,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its identity; `None` for interfaces that only hold types, and local ones.
    pub uuid: Option<Uuid>,
    /// Its version: major, minor.
    pub version: (u16, u16),
    /// `endpoint`, each as `ncacn_ip_tcp:[135]`.
    pub endpoints: Vec<String>,
    /// `object`: operations are methods, and on the wire each request begins with an `ORPCTHIS`, each reply with an
    /// `ORPCTHAT`, which are not among the parameters (MS-DCOM 2.2.13).
    pub object: bool,
    /// `local`: nothing of it is on the wire.
    pub local: bool,
    /// The interface it inherits operations from.
    pub base: Option<InterfaceId>,
    /// How many operations the bases have.
    pub inherited: u16,
    /// The operations of its own, by number; there may be gaps.
    pub operations: Vec<Operation>,
    /// Operations that a server calls at its client: their numbers count by themselves.
    pub callbacks: Vec<Operation>,
    /// Whether it is of an imported file.
    pub imported: bool,
    /// pidl's `helpstring`, or MIDL's.
    pub help: String,
    /// The comment in front of it.
    pub docs: String,
    /// Its name's place.
    pub span: Span,
}

/// All that an `.idl` file and what it imports define.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    items: Vec<Item>,
    interfaces: Vec<Interface>,
    by_name: HashMap<String, ItemId>,
}

impl Definitions {
    /// Of parts that are resolved and checked already.
    pub fn new(items: Vec<Item>, interfaces: Vec<Interface>) -> Self {
        let ids = (0..).map(ItemId);
        let by_name = items
            .iter()
            .zip(ids)
            .map(|(item, id)| (item.name.clone(), id))
            .collect();
        Self {
            items,
            interfaces,
            by_name,
        }
    }

    /// Whether there is nothing: the model is of a `.x` file.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.interfaces.is_empty()
    }

    /// Whether the file that was asked for defines nothing.
    pub fn is_blank(&self) -> bool {
        self.items.iter().all(|it| it.imported) && self.interfaces.iter().all(|it| it.imported)
    }

    /// All items, in source order; those that are not [`Item::used`] may contain what cannot be on
    /// the wire, such as `void *`, and no code is made for them.
    pub fn items(&self) -> impl Iterator<Item = (ItemId, &Item)> {
        (0..).map(ItemId).zip(&self.items)
    }

    /// The item.
    ///
    /// # Panics
    /// If `id` comes from another model.
    pub fn item(&self, id: ItemId) -> &Item {
        &self.items[id.0 as usize]
    }

    /// The item with this name in the interface.
    pub fn lookup(&self, name: &str) -> Option<ItemId> {
        self.by_name.get(name).copied()
    }

    /// The field that points to the next one, by index, if values of the struct make lists: it has one unique
    /// pointer to its own kind. A list is kept and shown as its elements, without that field.
    pub fn link(&self, id: ItemId) -> Option<usize> {
        let ItemKind::Struct(it) = &self.item(id).kind else {
            return None;
        };
        let is_link = |field: &&Field| match &field.ty {
            Type::Pointer(pointer) => {
                pointer.class == PointerClass::Unique
                    && *self.resolve(&pointer.pointee) == Type::Named(id)
            }
            _ => false,
        };
        let mut links = it.fields.iter().filter(is_link);
        let plain = |flags: &Flags| *flags == Flags::default();
        let (link, more) = (links.next()?, links.next());
        let is_list = more.is_none()
            && plain(&it.flags)
            && !it.relative_base
            && !link.skip
            && it.fields.iter().all(|field| {
                plain(&field.flags)
                    && (std::ptr::eq(field, link) || !self.has_offsets(&field.ty, 8))
            });
        let at = it.fields.iter().position(|field| std::ptr::eq(field, link));
        at.filter(|_| is_list)
    }

    /// Whether relative pointers lie in the flat part of a value of the type.
    fn has_offsets(&self, ty: &Type, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return true;
        };
        match ty {
            Type::Pointer(it) => matches!(
                it.class,
                PointerClass::Relative | PointerClass::RelativeShort
            ),
            Type::Range(inner, ..) => self.has_offsets(inner, depth),
            Type::Array(it) => self.has_offsets(&it.element, depth),
            Type::Named(id) | Type::Union(id, _) => match &self.item(*id).kind {
                ItemKind::Struct(it) => {
                    let mut fields = it.fields.iter();
                    fields.any(|field| self.has_offsets(&field.ty, depth))
                }
                ItemKind::Union(it) => {
                    let mut fields = it.arms.iter().filter_map(|arm| arm.field.as_ref());
                    fields.any(|field| self.has_offsets(&field.ty, depth))
                }
                ItemKind::Typedef(it) => self.has_offsets(&it.ty, depth),
                _ => false,
            },
            Type::Subcontext(_) => true,
            _ => false,
        }
    }

    /// All interfaces, in source order.
    pub fn interfaces(&self) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        (0..).map(InterfaceId).zip(&self.interfaces)
    }

    /// The interface.
    ///
    /// # Panics
    /// If `id` comes from another model.
    pub fn interface(&self, id: InterfaceId) -> &Interface {
        &self.interfaces[id.0 as usize]
    }

    /// The type behind typedefs without a conversion: never [`Type::Named`] of such a typedef.
    pub fn resolve<'a>(&'a self, ty: &'a Type) -> &'a Type {
        let mut ty = ty;
        while let Type::Named(id) = ty
            && let ItemKind::Typedef(Typedef {
                ty: target,
                conversion: None,
            }) = &self.item(*id).kind
        {
            ty = target;
        }
        ty
    }

    /// The type that is on the wire: as [`resolve`](Self::resolve), through conversions too.
    pub fn on_wire<'a>(&'a self, ty: &'a Type) -> &'a Type {
        let mut ty = ty;
        while let Type::Named(id) = ty
            && let ItemKind::Typedef(it) = &self.item(*id).kind
        {
            ty = &it.ty;
        }
        ty
    }
}
