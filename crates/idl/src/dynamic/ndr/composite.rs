//! Structs and unions.

use farcall_wire::ndr::{ANY, Align, In, Part, Put, Reader, Shape, Take, Writer};
use farcall_wire::{DecodeErrorKind, EncodeError, EncodeErrorKind};

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

    fn put_fields(self, it: &[Val], w: &mut Writer) -> Put {
        w.align(self.outer.layout.of_struct(self.id));
        if self.at.relative_base {
            w.base_here();
        }
        for (at, value) in it.iter().enumerate() {
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

    fn take_fields(self, it: &mut [Val], r: &mut Reader<'_>) -> Take {
        r.align(self.outer.layout.of_struct(self.id))?;
        if self.at.relative_base {
            r.base_here();
        }
        for at in 0..it.len() {
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
        r.trailer(self.outer.layout.of_struct(self.id))
    }

    fn referents(self, it: &[Val], w: &mut Writer) -> Put {
        for (at, value) in it.iter().enumerate() {
            let put = match self.field(at, it) {
                None => Ok(()),
                Some((shape, None)) => shape.put_referents(value, w),
                Some((shape, Some(part))) => In(part, shape).put_referents(value, w),
            };
            self.note(put, at)?;
        }
        Ok(())
    }

    fn take_pointees(self, it: &mut [Val], r: &mut Reader<'_>) -> Take {
        for at in 0..it.len() {
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
            None => self.put_fields(it, w),
            Some(part) => part.put(w, |w| self.put_fields(it, w)),
        }
    }
    fn put_referents(self, it: &Vec<Val>, w: &mut Writer) -> Put {
        let walk = |w: &mut Writer| match self.at.relative_base {
            true => w.with_base(|w| self.referents(it, w)),
            false => self.referents(it, w),
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
            None => self.take_fields(it, r),
            Some(part) => part.take(r, |r| self.take_fields(it, r)),
        }
    }
    fn take_referents(self, it: &mut Vec<Val>, r: &mut Reader<'_>) -> Take {
        let based = self.at.relative_base;
        let mut walk = |r: &mut Reader<'_>| match based {
            true => r.with_base(|r| self.take_pointees(it, r)),
            false => self.take_pointees(it, r),
        };
        match part(self.at.flags) {
            None => walk(r),
            Some(part) => part.take(r, walk),
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
