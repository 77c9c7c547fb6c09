//! Structs and unions.

use std::ops::Range;

use farcall_wire::ndr::{ANY, Align, In, Part, Put, Reader, Shape, Take, Writer};
use farcall_wire::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};

use super::eval::shaped;
use super::layout::is_field;
use super::val::{Choice, Val};
use super::walk::{Dyn, part};
use crate::model::ndr::{self as model, ItemId, Struct, Switch, Type, Union};

/// A struct.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) outer: Dyn<'a>,
    pub(super) id: ItemId,
    pub(super) at: &'a Struct,
}

impl<'a> Record<'a> {
    fn field<'b>(self, at: usize, here: &'b [Val]) -> Option<(Dyn<'b>, Option<Part>)>
    where
        'a: 'b,
    {
        let field = self.at.fields.get(at).filter(|field| is_field(field))?;
        let shape = Dyn {
            defs: self.outer.defs,
            layout: self.outer.layout,
            ty: &field.ty,
            here,
            trail: self.outer.trail,
        };
        Some((shape, part(field.flags)))
    }

    /// Whether this field's maximum counts stand in front of the whole.
    fn is_hoisted(self, at: usize) -> bool {
        at + 1 == self.at.fields.len()
    }

    fn is_counted(self, at: usize) -> bool {
        let field = self.at.fields.get(at);
        field.is_some_and(|it| self.outer.layout.is_conformant(self.outer.defs, &it.ty))
    }

    /// Writes the flat part; of an element of a list also whether there are `more`, in the place of its link.
    fn put_fields(self, it: &[Val], more: Option<(usize, bool)>, w: &mut Writer) -> Put {
        w.align(self.outer.layout.of_struct(self.id));
        if self.at.relative_base {
            w.base_here();
        }
        for (at, value) in it.iter().enumerate() {
            if let Some((link, more)) = more
                && link == at
            {
                self.note(w.referent(more), at)?;
                continue;
            }
            let Some((shape, part)) = self.field(at, it) else {
                continue;
            };
            if self.is_counted(at) && !self.is_hoisted(at) {
                shape.put_counts(value, w)?;
            }
            let put = match part {
                None => shape.put(value, w),
                Some(part) => In(part, shape).put(value, w),
            };
            self.note(put, at)?;
        }
        w.trailer(self.outer.layout.of_struct(self.id));
        Ok(())
    }

    /// Reads the flat part; of an element of a list also whether there are more.
    fn take_fields(
        self,
        it: &mut [Val],
        link: Option<usize>,
        r: &mut Reader<'_>,
    ) -> Result<bool, DecodeError> {
        let mut more = false;
        r.align(self.outer.layout.of_struct(self.id))?;
        if self.at.relative_base {
            r.base_here();
        }
        for at in 0..it.len() {
            if link == Some(at) {
                more = r.referent()?;
                continue;
            }
            let mut value = std::mem::take(&mut it[at]);
            if let Some((shape, part)) = self.field(at, it) {
                if self.is_counted(at) && !self.is_hoisted(at) {
                    shape.take_counts(r)?;
                }
                let taken = match part {
                    None => shape.take(&mut value, r),
                    Some(part) => In(part, shape).take(&mut value, r),
                };
                self.note(taken, at)?;
            }
            it[at] = value;
        }
        r.trailer(self.outer.layout.of_struct(self.id))?;
        Ok(more)
    }

    fn referents(self, it: &[Val], range: Range<usize>, w: &mut Writer) -> Put {
        let each = it.iter().enumerate();
        for (at, value) in each.filter(|(at, _)| range.contains(at)) {
            let put = match self.field(at, it) {
                None => Ok(()),
                Some((shape, None)) => shape.put_referents(value, w),
                Some((shape, Some(part))) => In(part, shape).put_referents(value, w),
            };
            self.note(put, at)?;
        }
        Ok(())
    }

    fn take_pointees(self, it: &mut [Val], range: Range<usize>, r: &mut Reader<'_>) -> Take {
        for at in range.start..it.len().min(range.end) {
            let mut value = std::mem::take(&mut it[at]);
            let taken = match self.field(at, it) {
                None => Ok(()),
                Some((shape, None)) => shape.take_referents(&mut value, r),
                Some((shape, Some(part))) => In(part, shape).take_referents(&mut value, r),
            };
            self.note(taken, at)?;
            it[at] = value;
        }
        Ok(())
    }

    /// The same result; an error in it came through the field.
    fn note<E>(self, result: Result<(), E>, at: usize) -> Result<(), E> {
        let name = self.at.fields.get(at).map_or("", |it| &it.name);
        self.outer.trail.note(result, name)
    }

    fn last(self, it: &[Val]) -> Option<usize> {
        let at = it.len().checked_sub(1)?;
        self.is_counted(at).then_some(at)
    }
}

impl Shape<Vec<Val>> for Record<'_> {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 0;

    fn put_counts(self, it: &Vec<Val>, w: &mut Writer) -> Put {
        let Some(at) = self.last(it) else {
            return Ok(());
        };
        match (self.field(at, it), it.get(at)) {
            (Some((shape, _)), Some(value)) => shape.put_counts(value, w),
            _ => Ok(()),
        }
    }
    fn put(self, it: &Vec<Val>, w: &mut Writer) -> Put {
        match part(self.at.flags) {
            None => self.put_fields(it, None, w),
            Some(part) => part.put(w, |w| self.put_fields(it, None, w)),
        }
    }
    fn put_referents(self, it: &Vec<Val>, w: &mut Writer) -> Put {
        let walk = |w: &mut Writer| match self.at.relative_base {
            true => w.with_base(|w| self.referents(it, 0..usize::MAX, w)),
            false => self.referents(it, 0..usize::MAX, w),
        };
        match part(self.at.flags) {
            None => walk(w),
            Some(part) => part.put(w, walk),
        }
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        let at = self.at.fields.len().saturating_sub(1);
        match self.field(at, &[]) {
            Some((shape, _)) if self.is_counted(at) => shape.take_counts(r),
            _ => Ok(()),
        }
    }
    fn take(self, it: &mut Vec<Val>, r: &mut Reader<'_>) -> Take {
        r.charge(it.len().saturating_mul(size_of::<Val>()))?;
        match part(self.at.flags) {
            None => self.take_fields(it, None, r).map(|_| ()),
            Some(part) => part.take(r, |r| self.take_fields(it, None, r).map(|_| ())),
        }
    }
    fn take_referents(self, it: &mut Vec<Val>, r: &mut Reader<'_>) -> Take {
        let based = self.at.relative_base;
        let mut walk = |r: &mut Reader<'_>| match based {
            true => r.with_base(|r| self.take_pointees(it, 0..usize::MAX, r)),
            false => self.take_pointees(it, 0..usize::MAX, r),
        };
        match part(self.at.flags) {
            None => walk(r),
            Some(part) => part.take(r, walk),
        }
    }
}

/// Structs that make a list, the first of them in place: as [`farcall_wire::ndr::Chain`].
#[derive(Clone, Copy)]
pub(super) struct Nodes<'a> {
    pub(super) record: Record<'a>,
    /// The field that points to the next one.
    pub(super) link: usize,
}

impl Nodes<'_> {
    fn take_node(self, it: &mut Vec<Val>, r: &mut Reader<'_>) -> Result<bool, DecodeError> {
        let len = self.record.at.fields.len();
        r.burn(1)?;
        r.charge(len.saturating_add(2).saturating_mul(size_of::<Val>()))?;
        let mut fields = Vec::new();
        fields.resize_with(len, Val::default);
        let more = self.record.take_fields(&mut fields, Some(self.link), r)?;
        it.push(Val::Fields(fields));
        Ok(more)
    }
}

/// The fields of an element.
fn fields(node: &Val) -> &[Val] {
    match node {
        Val::Fields(fields) => fields,
        _ => &[],
    }
}

/// The fields of the first element.
fn first(nodes: &[Val]) -> Result<&Vec<Val>, EncodeError> {
    match nodes.first() {
        Some(Val::Fields(first)) => Ok(first),
        _ => Err(EncodeError::new(EncodeErrorKind::Invalid(
            "a list in place has at least one element",
        ))),
    }
}

impl Shape<Vec<Val>> for Nodes<'_> {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 0;

    fn put_counts(self, it: &Vec<Val>, w: &mut Writer) -> Put {
        self.record.put_counts(first(it)?, w)
    }
    fn put(self, it: &Vec<Val>, w: &mut Writer) -> Put {
        let more = Some((self.link, it.len() > 1));
        self.record.put_fields(first(it)?, more, w)
    }
    fn put_referents(self, it: &Vec<Val>, w: &mut Writer) -> Put {
        let behind = self.link + 1..usize::MAX;
        for (at, node) in it.iter().enumerate() {
            self.record.referents(fields(node), 0..self.link, w)?;
            if let Some(Val::Fields(next)) = it.get(at + 1) {
                self.record.put_counts(next, w)?;
                let more = Some((self.link, at + 2 < it.len()));
                self.record.put_fields(next, more, w)?;
            }
        }
        let mut back = it.iter().rev();
        back.try_for_each(|node| self.record.referents(fields(node), behind.clone(), w))
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        self.record.take_counts(r)
    }
    fn take(self, it: &mut Vec<Val>, r: &mut Reader<'_>) -> Take {
        it.clear();
        // A second element says that there is one, and waits for it.
        if self.take_node(it, r)? {
            it.push(Val::Nothing);
        }
        Ok(())
    }
    fn take_referents(self, it: &mut Vec<Val>, r: &mut Reader<'_>) -> Take {
        let mut more = it.len() > 1;
        it.truncate(1);
        while let Some(Val::Fields(node)) = it.last_mut() {
            self.record.take_pointees(node, 0..self.link, r)?;
            if !more {
                break;
            }
            self.record.take_counts(r)?;
            more = self.take_node(it, r)?;
        }
        for node in it.iter_mut().rev() {
            if let Val::Fields(node) = node {
                self.record
                    .take_pointees(node, self.link + 1..usize::MAX, r)?;
            }
        }
        Ok(())
    }
}

/// A unique pointer to a list: as [`farcall_wire::ndr::List`].
#[derive(Clone, Copy)]
pub(super) struct ListAt<'a>(pub(super) Nodes<'a>);

impl Shape<Vec<Val>> for ListAt<'_> {
    const ALIGN: Align = Align::WIDE;
    const MIN: usize = 0;

    fn put(self, it: &Vec<Val>, w: &mut Writer) -> Put {
        w.referent(!it.is_empty())
    }
    fn put_referents(self, it: &Vec<Val>, w: &mut Writer) -> Put {
        match it.is_empty() {
            true => Ok(()),
            false => w.nested(|w| self.0.put_whole(it, w)),
        }
    }
    fn take(self, it: &mut Vec<Val>, r: &mut Reader<'_>) -> Take {
        it.clear();
        if r.referent()? {
            it.push(Val::Nothing);
        }
        Ok(())
    }
    fn take_referents(self, it: &mut Vec<Val>, r: &mut Reader<'_>) -> Take {
        match it.is_empty() {
            true => Ok(()),
            false => r.nested(|r| self.0.take_whole(it, r)),
        }
    }
}

/// A union.
#[derive(Clone, Copy)]
pub(super) struct Arms<'a> {
    pub(super) outer: Dyn<'a>,
    pub(super) id: ItemId,
    pub(super) at: &'a Union,
}

impl<'a> Arms<'a> {
    fn tag(self) -> Option<&'a Type> {
        match &self.at.switch {
            Switch::Encapsulated { ty, .. } | Switch::Separate { ty } => Some(ty),
            Switch::Outside { .. } => None,
        }
    }

    /// What `switch_is` says.
    fn expected(self) -> i64 {
        match self.outer.ty {
            Type::Union(_, Some(switch)) => shaped(Some(switch), self.outer.here),
            _ => ANY,
        }
    }

    /// The shape of an arm, and its flags; `None` if nothing is in it.
    fn arm(self, index: usize) -> Option<(Dyn<'a>, Option<Part>)> {
        let field = self.at.arms.get(index)?.field.as_ref()?;
        let shape = self.outer.of(&field.ty);
        is_field(field).then_some((shape, part(field.flags)))
    }

    fn is_aligned_as_one(self, ndr64: bool) -> bool {
        ndr64 || self.at.ms_union
    }
}

/// The index of the arm that a discriminant chooses.
pub(super) fn choose(it: &Union, tag: i64) -> Option<usize> {
    let by_case = |arm: &model::Arm| arm.cases.iter().any(|case| case.value == tag);
    let default = || it.arms.iter().position(|arm| arm.default);
    it.arms.iter().position(by_case).or_else(default)
}

impl Shape<Choice> for Arms<'_> {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 0;

    fn put(self, it: &Choice, w: &mut Writer) -> Put {
        let expected = self.expected();
        if expected != ANY && expected != it.tag {
            let kind = EncodeErrorKind::BadSwitch {
                value: it.tag,
                expected,
            };
            return Err(EncodeError::new(kind));
        }
        let flat = |w: &mut Writer| {
            if let Some(tag) = self.tag() {
                if w.mode().is_ndr64() {
                    w.align(
                        self.outer
                            .layout
                            .of_union(self.outer.defs, self.id, self.at),
                    );
                }
                self.outer.of(tag).put(&Val::Int(it.tag.into()), w)?;
            }
            if self.is_aligned_as_one(w.mode().is_ndr64()) {
                w.align(self.outer.layout.of_arms(self.id));
            }
            match self.arm(it.arm) {
                None => Ok(()),
                Some((shape, None)) => shape.put(&it.value, w),
                Some((shape, Some(part))) => In(part, shape).put(&it.value, w),
            }
        };
        match part(self.at.flags) {
            None => flat(w),
            Some(part) => part.put(w, flat),
        }
    }

    fn put_referents(self, it: &Choice, w: &mut Writer) -> Put {
        let walk = |w: &mut Writer| match self.arm(it.arm) {
            None => Ok(()),
            Some((shape, None)) => shape.put_referents(&it.value, w),
            Some((shape, Some(part))) => In(part, shape).put_referents(&it.value, w),
        };
        match part(self.at.flags) {
            None => walk(w),
            Some(part) => part.put(w, walk),
        }
    }

    fn take(self, it: &mut Choice, r: &mut Reader<'_>) -> Take {
        match part(self.at.flags) {
            None => self.take_flat(it, r),
            Some(part) => part.take(r, |r| self.take_flat(it, r)),
        }
    }

    fn take_referents(self, it: &mut Choice, r: &mut Reader<'_>) -> Take {
        let arm = self.arm(it.arm);
        let mut walk = |r: &mut Reader<'_>| match arm {
            None => Ok(()),
            Some((shape, None)) => shape.take_referents(&mut it.value, r),
            Some((shape, Some(part))) => In(part, shape).take_referents(&mut it.value, r),
        };
        match part(self.at.flags) {
            None => walk(r),
            Some(part) => part.take(r, walk),
        }
    }
}

impl Arms<'_> {
    fn take_flat(self, it: &mut Choice, r: &mut Reader<'_>) -> Take {
        let expected = self.expected();
        it.tag = match self.tag() {
            None => expected,
            Some(tag) => {
                if r.mode().is_ndr64() {
                    r.align(
                        self.outer
                            .layout
                            .of_union(self.outer.defs, self.id, self.at),
                    )?;
                }
                let mut value = Val::Nothing;
                self.outer.of(tag).take(&mut value, r)?;
                let value = value.number().unwrap_or(0);
                i64::try_from(value).unwrap_or(i64::MAX)
            }
        };
        if expected != ANY && it.tag != expected {
            let value = it.tag;
            return Err(r.error(DecodeErrorKind::BadSwitch { value, expected }));
        }
        if self.is_aligned_as_one(r.mode().is_ndr64()) {
            r.align(self.outer.layout.of_arms(self.id))?;
        }
        let Some(arm) = choose(self.at, it.tag) else {
            let kind = DecodeErrorKind::BadDiscriminant {
                name: "union",
                value: it.tag,
            };
            return Err(r.error(kind));
        };
        r.charge(size_of::<Val>())?;
        it.arm = arm;
        match self.arm(arm) {
            None => Ok(()),
            Some((shape, None)) => shape.take(&mut it.value, r),
            Some((shape, Some(part))) => In(part, shape).take(&mut it.value, r),
        }
    }
}
