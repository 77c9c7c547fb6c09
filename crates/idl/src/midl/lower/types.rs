//! Puts attributes where they act: from a looked-through type and the attributes of its place to a [`Type`].
//!
//! Read first: C706 section 4.2.18 ("Arrays") and following. MIDL's rule for several levels: the first
//! expression in `size_is` belongs to the outermost pointer or array, and so on inwards; an attribute
//! of pointers belongs to the outermost pointer, the others are what `pointer_default` says.

use super::constants::NoValue;
use super::expressions::{Scope, minus, plus};
use super::flatten::{Core, Flat, Layer, either, pointer_class};
use super::names::Body;
use super::native::Native;
use super::{Context, Lower};
use crate::diag::Span;
use crate::midl::ast::{Attribute, Bound, Dimension as Bracket, Find, Modifier, Specifier};
use crate::model::ndr::{
    Array, Base, Blob, Dimension, Encoding, Expr, Extent, FlaggedString, Iid, ItemId, Pointer,
    PointerClass, Slice, Str, StringCounts, Subcontext, SubcontextHeader, Type,
};

/// Where a type stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Parameter,
    Field,
    Typedef,
    Result,
    Element,
}

/// A use of a type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use<'a, 's> {
    pub(super) attributes: &'a [Attribute],
    pub(super) specifier: &'a Specifier,
    pub(super) modifiers: &'a [Modifier],
    pub(super) span: Span,
    pub(super) position: Position,
    pub(super) scope: Scope<'a, 's>,
    pub(super) context: Context,
    /// Flags of what is around it.
    pub(super) flags: &'s [String],
}

/// A pointer or a dimension, with what attributes say of it.
#[derive(Clone, Debug)]
enum Node {
    Pointer(PointerClass),
    Dimension(Dimension),
}

/// A type, and what else its typedefs said.
#[derive(Clone, Debug)]
pub(super) struct Built {
    pub(super) ty: Type,
    /// Whether the program turns it into a binding.
    pub(super) handle: bool,
}

impl<'a> Lower<'a> {
    /// The type at a place.
    pub(super) fn build(&mut self, it: Use<'a, '_>) -> Built {
        let class = pointer_class(it.attributes.iter());
        let flat = self.flatten(it.specifier, it.modifiers, class, it.context);
        let handle = flat.handle || it.attributes.has("handle");
        if flat.layers.iter().any(|it| matches!(it, Layer::Function)) {
            self.obstacle(it.span, "a function cannot be on the wire");
            return Built {
                ty: Type::Absent,
                handle,
            };
        }
        let mut nodes = self.nodes(it, &flat);
        let range = self.range(it);
        // With a size, `range` speaks of the number of elements (MS-RPCE 2.2.4.14.2).
        let is_sized = |node: &Node| match node {
            Node::Dimension(dimension) => !matches!(dimension.extent, Extent::Fixed(_)),
            Node::Pointer(_) => false,
        };
        let of_count = nodes.iter().any(is_sized) || flat.string || it.attributes.has("string");
        let mut core = self.core(it, &flat, &mut nodes);
        if let Some((low, high)) = range.filter(|_| !of_count) {
            core = Type::Range(Box::new(core), low, high);
        }
        let core = self.subcontext(it, core);
        let mut ty = self.assemble(it, &flat, nodes, core);
        if let Some((low, high)) = range.filter(|_| of_count) {
            limit(&mut ty, low, high);
        }
        if let Some(class @ (PointerClass::Unique | PointerClass::Full)) = flat.unused
            && it.position == Position::Parameter
            && matches!(flat.layers.first(), Some(Layer::Array(..)))
        {
            // An array is passed by reference, and the attribute says of which class that is.
            ty = Type::Pointer(Box::new(Pointer {
                class,
                pointee: ty,
                max_recursion: None,
                to_null: false,
            }));
        }
        Built { ty, handle }
    }

    /// The layers, with sizes and slices put to them.
    fn nodes(&mut self, it: Use<'a, '_>, flat: &Flat<'a>) -> Vec<Node> {
        let sizes = Sizes::of(it.attributes, flat);
        let shift = sizes.shift(&flat.layers);
        let mut nodes = Vec::with_capacity(flat.layers.len());
        for (at, layer) in flat.layers.iter().enumerate() {
            let slot = at.checked_sub(shift);
            match layer {
                Layer::Pointer { class, default, .. } => {
                    let outermost = at == 0;
                    nodes.push(Node::Pointer(
                        self.class(it, *class, *default, outermost, flat, at),
                    ));
                    if let Some(slot) = slot
                        && sizes.has(slot)
                    {
                        let dimension = self.dimension(it, None, &sizes, Some(slot));
                        nodes.push(Node::Dimension(dimension));
                    }
                }
                Layer::Array(bracket, context) => {
                    let inner = Use {
                        context: Context {
                            pidl: context.pidl,
                            ..it.context
                        },
                        ..it
                    };
                    let dimension = self.dimension(inner, Some(bracket), &sizes, slot);
                    nodes.push(Node::Dimension(dimension));
                }
                Layer::Function => {}
            }
        }
        if let Some(attribute) = sizes.too_many(flat.layers.len().saturating_sub(shift)) {
            let message = format!(
                "`{}` has more expressions than there are pointers and arrays",
                attribute.name.text
            );
            self.error("E0402", attribute.span, message);
        }
        nodes
    }

    /// What a pointer is.
    fn class(
        &mut self,
        it: Use<'a, '_>,
        said: Option<PointerClass>,
        default: PointerClass,
        outermost: bool,
        flat: &Flat<'a>,
        at: usize,
    ) -> PointerClass {
        let innermost = at + 1 == flat.layers.len();
        let is_object = matches!(flat.core, Core::Interface(_))
            || matches!(flat.core, Core::Void(_)) && it.attributes.has("iid_is");
        if innermost && is_object {
            return PointerClass::Unique;
        }
        match said {
            Some(class) => class,
            None if outermost && it.position == Position::Parameter => PointerClass::Ref,
            None if it.position == Position::Result
                && outermost
                && default == PointerClass::Ref =>
            {
                PointerClass::Unique
            }
            None => default,
        }
    }

    // req: idl-c706-4.2.18-arrays
    /// One dimension: of brackets, or of a pointer with a size.
    fn dimension(
        &mut self,
        it: Use<'a, '_>,
        bracket: Option<&'a Bracket>,
        sizes: &Sizes<'a>,
        slot: Option<usize>,
    ) -> Dimension {
        let mut resolve = |expr: Option<&'a crate::midl::ast::Expr>| {
            expr.map(|expr| self.resolve(expr, it.scope, it.context))
        };
        let at = |list: &Slots<'a>| slot.and_then(|slot| list.get(slot));
        let size = resolve(at(&sizes.size));
        let (max, min) = (resolve(at(&sizes.max)), resolve(at(&sizes.min)));
        let (length, first, last) = (
            resolve(at(&sizes.length)),
            resolve(at(&sizes.first)),
            resolve(at(&sizes.last)),
        );
        let varying = length.is_some() || first.is_some() || last.is_some();
        let (extent, lower) = self.extent(it, bracket, size, max, min);
        let first = first.map(|first| plus(first, -i128::from(lower)));
        let length = length.or_else(|| {
            let last = last.map(|last| plus(last, 1 - i128::from(lower)));
            match (&first, last) {
                (Some(first), Some(last)) => Some(minus(last, first.clone())),
                (None, last) => last,
                (Some(_), None) => None,
            }
        });
        Dimension {
            extent,
            slice: varying.then_some(Slice { first, length }),
            lower,
        }
    }

    /// How many elements a dimension has, and its lower bound.
    fn extent(
        &mut self,
        it: Use<'a, '_>,
        bracket: Option<&'a Bracket>,
        size: Option<Expr>,
        max: Option<Expr>,
        min: Option<Expr>,
    ) -> (Extent, i64) {
        let mut lower = 0;
        let mut upper = None;
        if let Some(bracket) = bracket {
            if bracket.range
                && let Bound::Known(expr) = &bracket.lower
            {
                let value = self.known(expr, "the lower bound").unwrap_or(0);
                lower = i64::try_from(value).unwrap_or(0);
            }
            if let Bound::Known(expr) = &bracket.upper {
                upper = Some((
                    self.resolve(expr, it.scope, it.context),
                    expr.span,
                    bracket.range,
                ));
            }
        }
        let lowest = min.unwrap_or(Expr::Integer(i128::from(lower)));
        if let Some(size) = size {
            return (Extent::Conformant(Some(size)), lower);
        }
        if let Some(max) = max {
            let size = plus(minus(max, lowest), 1);
            return (Extent::Conformant(Some(size)), lower);
        }
        match upper {
            None => (Extent::Conformant(None), lower),
            Some((upper, span, range)) => {
                let count = match range {
                    true => plus(minus(upper, lowest), 1),
                    false => upper,
                };
                // `[*..9]` with `min_is`: conformant at its lower end.
                let open = range && bracket.is_some_and(|it| matches!(it.lower, Bound::Open));
                match open {
                    true => (Extent::Conformant(Some(count)), lower),
                    false => (self.fixed(it, count, span), lower),
                }
            }
        }
    }

    fn fixed(&mut self, it: Use<'a, '_>, count: Expr, span: Span) -> Extent {
        match count.constant() {
            Some(n) => match u32::try_from(n) {
                Ok(n) if n > 0 && n <= MAX_FIXED || it.context.pidl && n == 0 => Extent::Fixed(n),
                _ => {
                    let message =
                        format!("an array of {n} elements is not between 1 and {MAX_FIXED}");
                    self.error("E0401", span, message);
                    Extent::Fixed(1)
                }
            },
            None if it.context.pidl => Extent::Computed(count),
            None => {
                let text = self.sources.text(span).to_owned();
                let message = format!("the size of the array is not a constant: `{text}`");
                let error = crate::diag::Diagnostic::error("E0401", span, message);
                let hint = format!("write `[]` and the attribute `size_is({text})`");
                self.diagnostics.push(error.hint(hint));
                Extent::Fixed(1)
            }
        }
    }

    /// What is inside of all layers.
    fn core(&mut self, it: Use<'a, '_>, flat: &Flat<'a>, nodes: &mut Vec<Node>) -> Type {
        if let Some(switch) = it.attributes.find("switch_is")
            && matches!(
                flat.core,
                Core::Scalar(_) | Core::HandleT | Core::Interface(_)
            )
        {
            self.error("E0405", switch.span, "`switch_is` at what is no union");
        }
        match &flat.core {
            Core::Void(span) => self.void(it, flat, nodes, *span),
            Core::HandleT => Type::Void,
            Core::Scalar(base) => Type::Base(*base),
            Core::Item(id) => self.item_type(it, flat, *id),
            Core::Interface(id) => match it.attributes.find("iid_is") {
                Some(_) => self.object(it),
                None if nodes.is_empty() => {
                    self.obstacle(it.span, "an interface is on the wire behind a pointer only");
                    Type::Absent
                }
                None => Type::Interface(Iid::Known(*id)),
            },
            Core::Pipe(element, context) => {
                let element = self.build(Use {
                    attributes: &element.attributes,
                    specifier: &element.specifier,
                    modifiers: &element.modifiers,
                    span: element.span,
                    position: Position::Element,
                    scope: Scope::None,
                    context: *context,
                    flags: &[],
                });
                Type::Pipe(Box::new(element.ty))
            }
            Core::Native(native) => self.native(it, flat, *native),
            Core::Unknown => Type::Absent,
        }
    }

    /// What `range` says.
    fn range(&mut self, it: Use<'a, '_>) -> Option<(i128, i128)> {
        let range = it.attributes.find("range")?;
        let mut bounds = range.arguments.iter().flatten();
        if it.context.pidl {
            // A bound that is C's constant is not known here.
            for bound in bounds.clone() {
                if let Err(NoValue::Unknown(span)) = self.integer(bound) {
                    let text = self.sources.text(span).to_owned();
                    let message = format!("`{text}` is not defined here: the range is not checked");
                    self.warning("W0505", span, message);
                    return None;
                }
            }
        }
        let low = bounds.next().and_then(|expr| self.known(expr, "the bound"));
        let high = bounds.next().and_then(|expr| self.known(expr, "the bound"));
        match (low, high) {
            (Some(low), Some(high)) if low <= high => Some((low, high)),
            (Some(low), Some(high)) => {
                let message = format!("nothing is within the range from {low} to {high}");
                self.error("E0403", range.span, message);
                None
            }
            _ => {
                if range.arguments.len() != 2 {
                    self.error("E0403", range.span, "`range` has two bounds");
                }
                None
            }
        }
    }

    fn void(
        &mut self,
        it: Use<'a, '_>,
        flat: &Flat<'a>,
        nodes: &mut Vec<Node>,
        span: Span,
    ) -> Type {
        if either(it.attributes, flat, "context_handle").is_some() && !nodes.is_empty() {
            nodes.pop();
            return Type::ContextHandle;
        }
        if it.attributes.has("iid_is") && !nodes.is_empty() {
            return self.object(it);
        }
        if it.context.pidl && !nodes.is_empty() && it.position != Position::Typedef {
            let message = "`void *` is not on the wire";
            self.warning("W0505", span, message);
            nodes.clear();
            return Type::Absent;
        }
        let ignored = matches!(nodes.last(), Some(Node::Pointer(PointerClass::Ignore)));
        if !nodes.is_empty() && !ignored {
            self.obstacle(span, "`void *` cannot be on the wire");
        } else if nodes.is_empty() && it.position == Position::Field {
            self.error("E0404", span, "a field cannot be `void`");
        }
        Type::Void
    }

    /// What `iid_is` says of an interface pointer.
    fn object(&mut self, it: Use<'a, '_>) -> Type {
        let argument = it
            .attributes
            .find("iid_is")
            .and_then(|it| it.arguments.first());
        let Some(Some(expr)) = argument else {
            return Type::Interface(Iid::Unknown);
        };
        let expr = self.resolve(expr, it.scope, it.context);
        Type::Interface(Iid::Place(expr))
    }

    fn item_type(&mut self, it: Use<'a, '_>, flat: &Flat<'a>, id: ItemId) -> Type {
        let is_union = match self.draft(id).body {
            Body::Union(union) => union.switch.is_none(),
            _ => false,
        };
        let switch = it.attributes.find("switch_is");
        if !is_union {
            if let Some(switch) = switch.filter(|_| !matches!(flat.core, Core::Unknown))
                && !matches!(self.draft(id).body, Body::Typedef(..))
            {
                self.error("E0405", switch.span, "`switch_is` at what is no union");
            }
            return Type::Named(id);
        }
        let expr = switch.and_then(|it| it.arguments.first()?.as_ref());
        let Some(expr) = expr else {
            return Type::Union(id, None);
        };
        if let Some(ty) = self.type_of_expression(expr, it.scope, it.context) {
            self.switches.entry(id).or_insert(ty);
        }
        let resolved = self.resolve(expr, it.scope, it.context);
        Type::Union(id, Some(Box::new(resolved)))
    }

    fn native(&mut self, it: Use<'a, '_>, flat: &Flat<'a>, native: Native) -> Type {
        let flags = self.all_flags(it, flat);
        match native {
            Native::String => Type::FlaggedString(string_form(&flags)),
            Native::StringArray => Type::StringArray(string_form(&flags)),
            Native::Blob => Type::Blob(blob_form(&flags)),
            Native::Scalar(_) | Native::Pointer | Native::Handwritten(_) | Native::Octets => {
                native.plain()
            }
        }
    }

    /// The flags at a place, those of typedefs and of what is around it included.
    fn all_flags(&self, it: Use<'a, '_>, flat: &Flat<'a>) -> Vec<String> {
        let mut flags = super::items::flag_names(it.attributes.iter());
        flags.extend(super::items::flag_names(flat.attributes.iter().copied()));
        flags.extend(it.flags.iter().cloned());
        flags
    }

    fn subcontext(&mut self, it: Use<'a, '_>, core: Type) -> Type {
        let Some(attribute) = it.attributes.find("subcontext") else {
            return core;
        };
        let header = attribute.arguments.first().and_then(Option::as_ref);
        let header = header.and_then(|expr| self.known(expr, "the header"));
        let header = match header {
            Some(0) => SubcontextHeader::None,
            Some(2) => SubcontextHeader::Short,
            Some(4) => SubcontextHeader::Long,
            Some(0xFFFF_FC01) => SubcontextHeader::Pickle,
            _ => {
                let message = "the header of a subcontext is 0, 2, 4 or 0xFFFFFC01";
                self.error("E0406", attribute.span, message);
                SubcontextHeader::None
            }
        };
        let size = it.attributes.find("subcontext_size");
        let size = size.and_then(|it| it.arguments.first()?.as_ref());
        let size = size.map(|expr| self.resolve(expr, it.scope, it.context));
        let compression = it.attributes.find("compression").map(|it| it.raw.clone());
        Type::Subcontext(Box::new(Subcontext {
            header,
            size,
            compression,
            inner: core,
        }))
    }

    /// Puts the layers around the core, from the inside to the outside.
    fn assemble(
        &mut self,
        it: Use<'a, '_>,
        flat: &Flat<'a>,
        mut nodes: Vec<Node>,
        core: Type,
    ) -> Type {
        let mut ty = core;
        let string = flat.string || it.attributes.has("string");
        let charset = either(it.attributes, flat, "charset");
        if string || charset.is_some() {
            ty = self.string(it, flat, &mut nodes, ty, string, charset);
        }
        let recursion = it.attributes.find("max_recursion");
        let recursion = recursion.and_then(|it| it.arguments.first()?.as_ref());
        let max_recursion = recursion
            .and_then(|expr| self.known(expr, "the depth"))
            .and_then(|it| u32::try_from(it).ok());
        let to_null = it.attributes.has("to_null");
        let mut dimensions = Vec::new();
        while let Some(node) = nodes.pop() {
            match node {
                Node::Dimension(dimension) => dimensions.insert(0, dimension),
                Node::Pointer(class) => {
                    ty = array(ty, std::mem::take(&mut dimensions));
                    ty = Type::Pointer(Box::new(Pointer {
                        class,
                        pointee: ty,
                        max_recursion,
                        to_null,
                    }));
                }
            }
        }
        array(ty, dimensions)
    }

    /// Takes the innermost dimension, or what the innermost pointer points to, as a string.
    fn string(
        &mut self,
        it: Use<'a, '_>,
        flat: &Flat<'a>,
        nodes: &mut Vec<Node>,
        character: Type,
        terminated: bool,
        charset: Option<&Attribute>,
    ) -> Type {
        if let Type::Named(id) = &character
            && self.has_conversion(*id)
        {
            let message = "`string` has no effect on a type with a form of its own";
            self.warning("W0417", it.span, message);
            return character;
        }
        let Some(encoding) = self.encoding(it, &character, charset) else {
            return character;
        };
        let headless = either(it.attributes, flat, "noheader").is_some();
        let dimension = match nodes.pop() {
            Some(Node::Dimension(dimension)) => dimension,
            Some(pointer @ Node::Pointer(_)) => {
                nodes.push(pointer);
                Dimension {
                    extent: match headless {
                        true => Extent::Remaining,
                        false => Extent::Conformant(None),
                    },
                    slice: None,
                    lower: 0,
                }
            }
            None => {
                self.error("E0407", it.span, "a string is an array or a pointer");
                return character;
            }
        };
        let varying = terminated && !headless && !matches!(dimension.extent, Extent::Computed(_));
        let slice = dimension.slice.or_else(|| varying.then(Slice::default));
        Type::String(Box::new(Str {
            encoding,
            extent: dimension.extent,
            slice,
            terminated,
        }))
    }

    /// Whether values of the typedef are others than those on the wire.
    fn has_conversion(&self, id: ItemId) -> bool {
        let is_one = |name: &str| {
            matches!(
                name,
                "transmit_as" | "represent_as" | "wire_marshal" | "user_marshal"
            )
        };
        let attributes = &self.draft(id).attributes;
        attributes.iter().any(|it| is_one(&it.name.text))
    }

    fn encoding(
        &mut self,
        it: Use<'a, '_>,
        character: &Type,
        charset: Option<&Attribute>,
    ) -> Option<Encoding> {
        let width = match self.wire_scalar(character) {
            Some(base) if base.size() == 1 => 1,
            Some(base) if base.size() == 2 => 2,
            _ => {
                self.error("E0407", it.span, "a string of what is no character");
                return None;
            }
        };
        let said = charset.map(|it| it.raw.as_str());
        let encoding = match (said, width) {
            (Some("UTF16MUNGED"), 2) => Encoding::Utf16Munged,
            (_, 2) => Encoding::Utf16,
            (Some("UTF8"), _) => Encoding::Utf8,
            (Some("DOS"), _) => Encoding::Dos,
            _ => Encoding::Bytes,
        };
        Some(encoding)
    }

    /// The scalar behind ranges and typedefs.
    pub(super) fn wire_scalar(&mut self, ty: &Type) -> Option<Base> {
        match ty {
            Type::Base(base) => Some(*base),
            Type::Range(inner, ..) => self.wire_scalar(inner),
            Type::Named(id) => {
                let context = self.draft(*id).context;
                match self.draft(*id).body {
                    Body::Typedef(declaration, declarator) if declarator.modifiers.is_empty() => {
                        self.scalar_of_specifier(&declaration.specifier, context)
                    }
                    Body::Struct(structure) => {
                        // C706 allows strings of structs of bytes.
                        let fields = structure.body.as_deref().unwrap_or(&[]);
                        let first = fields.first()?;
                        self.scalar_of_specifier(&first.specifier, context)
                            .filter(|base| *base == Base::Byte)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Bounds the number of elements of the outermost array or string.
fn limit(ty: &mut Type, low: i128, high: i128) {
    match ty {
        Type::Pointer(it) => limit(&mut it.pointee, low, high),
        Type::Array(_) | Type::String(_) => {
            let inner = std::mem::replace(ty, Type::Void);
            *ty = Type::Range(Box::new(inner), low, high);
        }
        _ => {}
    }
}

/// The largest fixed array.
const MAX_FIXED: u32 = 1 << 24;

/// An array of the element, if there are dimensions.
fn array(element: Type, dimensions: Vec<Dimension>) -> Type {
    match dimensions.is_empty() {
        true => element,
        false => Type::Array(Box::new(Array {
            element,
            dimensions,
        })),
    }
}

/// The expressions of one attribute, by level.
#[derive(Clone, Debug, Default)]
struct Slots<'a> {
    attribute: Option<&'a Attribute>,
}

impl<'a> Slots<'a> {
    fn of(attributes: &'a [Attribute], flat: &Flat<'a>, name: &str) -> Self {
        Self {
            attribute: either(attributes, flat, name),
        }
    }

    fn get(&self, slot: usize) -> Option<&'a crate::midl::ast::Expr> {
        self.attribute?.arguments.get(slot)?.as_ref()
    }

    fn len(&self) -> usize {
        let said = |it: &'a Attribute| it.arguments.iter().rposition(Option::is_some);
        self.attribute
            .and_then(said)
            .map_or(0, |last| last.saturating_add(1))
    }
}

/// All attributes that speak of sizes.
#[derive(Clone, Debug)]
struct Sizes<'a> {
    size: Slots<'a>,
    max: Slots<'a>,
    min: Slots<'a>,
    length: Slots<'a>,
    first: Slots<'a>,
    last: Slots<'a>,
}

impl<'a> Sizes<'a> {
    fn of(attributes: &'a [Attribute], flat: &Flat<'a>) -> Self {
        let slots = |name| Slots::of(attributes, flat, name);
        Self {
            size: slots("size_is"),
            max: slots("max_is"),
            min: slots("min_is"),
            length: slots("length_is"),
            first: slots("first_is"),
            last: slots("last_is"),
        }
    }

    fn all(&self) -> [&Slots<'a>; 6] {
        [
            &self.size,
            &self.max,
            &self.min,
            &self.length,
            &self.first,
            &self.last,
        ]
    }

    /// Whether something is said of this level.
    fn has(&self, slot: usize) -> bool {
        self.all().iter().any(|it| it.get(slot).is_some())
    }

    /// The attribute with more expressions than levels, if one has.
    fn too_many(&self, levels: usize) -> Option<&'a Attribute> {
        let longer = self.all().into_iter().find(|it| it.len() > levels);
        longer.and_then(|it| it.attribute)
    }

    /// How many pointers in front of an open array are passed over, because all that is said is of the array
    /// they point to.
    fn shift(&self, layers: &[Layer<'_>]) -> usize {
        let is_pointer = |it: &&Layer<'_>| matches!(it, Layer::Pointer { .. });
        let pointers = layers.iter().take_while(is_pointer).count();
        let rest = layers.get(pointers..).unwrap_or(&[]);
        let open = rest.iter().take_while(|it| match it {
            Layer::Array(bracket, _) => matches!(bracket.upper, Bound::Open) || bracket.range,
            _ => false,
        });
        let open = open.count();
        let said = self.all().iter().map(|it| it.len()).max().unwrap_or(0);
        let named = self.all().iter().any(|it| it.len() > 0);
        match named && open > 0 && said <= open {
            true => pointers,
            false => 0,
        }
    }
}

/// The form of pidl's strings.
fn string_form(flags: &[String]) -> FlaggedString {
    let has = |name: &str| flags.iter().any(|it| it == name);
    let counts = match () {
        () if has("STR_SIZE4") && has("STR_LEN4") => StringCounts::SizeLength4,
        () if has("STR_SIZE4") || has("STR_CONFORMANT") => StringCounts::Size4,
        () if has("STR_LEN4") => StringCounts::Length4,
        () if has("STR_SIZE2") => StringCounts::Size2,
        () if has("STR_LARGE_SIZE") => StringCounts::LargeSize,
        () if has("STR_FIXLEN15") => StringCounts::Fixed(15),
        () if has("STR_FIXLEN32") => StringCounts::Fixed(32),
        () if has("STR_NULLTERM") || has("STR_NOTERM") => StringCounts::None,
        () => StringCounts::SizeLength4,
    };
    let encoding = match () {
        () if has("STR_UTF8") => Encoding::Utf8,
        () if has("STR_ASCII") || has("STR_RAW8") => Encoding::Bytes,
        () => Encoding::Utf16,
    };
    FlaggedString {
        encoding,
        counts,
        terminated: !has("STR_NOTERM"),
        byte_size: has("STR_BYTESIZE"),
        no_embedded_nul: has("STR_NO_EMBEDDED_NUL"),
    }
}

fn blob_form(flags: &[String]) -> Blob {
    let has = |name: &str| flags.iter().any(|it| it == name);
    match () {
        () if has("REMAINING") => Blob::Remaining,
        () if has("ALIGN8") => Blob::Align(8),
        () if has("ALIGN4") => Blob::Align(4),
        () if has("ALIGN2") => Blob::Align(2),
        () => Blob::Counted,
    }
}
