//! Works out numbers: constants, enums, bounds.

use std::collections::HashMap;

use super::names::{Symbol, duplicate};
use super::{DraftBody, Lower, Outside};
use crate::diag::Diagnostic;
use crate::model::{Enum, EnumValue, ItemId};
use crate::rpcl::ast::{EnumMember, Name, Value};

/// What a constant may be: every number of 64 bits, signed or not.
const CONST_RANGE: std::ops::RangeInclusive<i128> = -(1 << 63)..=(1 << 64) - 1;

/// How a name's number is found.
enum Meaning<'a> {
    Number(i128),
    /// That of the value, and so many more.
    More(&'a Value, i128),
}

/// The numbers of authentication flavors, which files of NFS take from `<rpc/auth.h>` (RFC 5531 section 8.1).
fn flavor(name: &str) -> Option<i128> {
    let value = match name {
        "AUTH_NONE" | "AUTH_NULL" => 0,
        "AUTH_SYS" | "AUTH_UNIX" => 1,
        "AUTH_SHORT" => 2,
        "AUTH_DH" | "AUTH_DES" => 3,
        "RPCSEC_GSS" => 6,
        _ => return None,
    };
    Some(value)
}

impl<'a> Lower<'a> {
    /// The number that a value stands for.
    pub(super) fn number(&mut self, value: &Value) -> Option<i128> {
        let mut current = value;
        let mut more = 0_i128;
        let most = self.symbols.len() + self.outside.len();
        for _ in 0..=most {
            let name = match current {
                Value::Number { value, .. } => return Some(value.saturating_add(more)),
                Value::Name(name) => name,
            };
            match self.meaning(name)? {
                Meaning::Number(value) => return Some(value.saturating_add(more)),
                Meaning::More(value, add) => {
                    current = value;
                    more = more.saturating_add(add);
                }
            }
        }
        self.error("E0305", value.span(), "the number depends on itself");
        None
    }

    fn meaning(&mut self, name: &Name) -> Option<Meaning<'a>> {
        if !self.step() {
            self.error(
                "E0105",
                name.span,
                "too many constants that stand for constants",
            );
            return None;
        }
        match (self.symbol(&name.text), name.text.as_str()) {
            (Some(Symbol::Const(id)), _) => match self.draft(id)?.body {
                DraftBody::Const(value) => Some(Meaning::More(value, 0)),
                DraftBody::Macro(value) => Some(Meaning::Number(value)),
                _ => None,
            },
            (Some(Symbol::Value(id, index)), _) => self.enum_member(id, index),
            (Some(Symbol::Type(_)), _) => {
                let message = format!("`{}` is not a number", name.text);
                self.error("E0304", name.span, message);
                None
            }
            (None, "TRUE") => Some(Meaning::Number(1)),
            (None, "FALSE") => Some(Meaning::Number(0)),
            (None | Some(Symbol::Program), text) => {
                match self.outside.get(text).copied() {
                    Some(Outside::Number(value)) => return Some(Meaning::Number(value)),
                    Some(Outside::Value(value)) => return Some(Meaning::More(value, 0)),
                    None => {}
                }
                if let Some(value) = flavor(text) {
                    return Some(Meaning::Number(value));
                }
                let fits = |it: &Symbol| matches!(it, Symbol::Const(_) | Symbol::Value(..));
                self.undefined("E0303", "constant", name, fits);
                None
            }
        }
    }

    /// The value of an enum as so many more than the last one before it that has a number.
    fn enum_member(&self, id: ItemId, index: usize) -> Option<Meaning<'a>> {
        let DraftBody::Enum(members) = self.draft(id)?.body else {
            return None;
        };
        for (more, member) in members.get(..=index)?.iter().rev().enumerate() {
            if !self.step() {
                return None;
            }
            if let Some(value) = &member.value {
                return Some(Meaning::More(value, more as i128));
            }
        }
        Some(Meaning::Number(index as i128))
    }

    pub(super) fn lower_const(&mut self, value: &Value) -> Option<i128> {
        let number = self.number(value)?;
        if CONST_RANGE.contains(&number) {
            return Some(number);
        }
        self.error(
            "E0401",
            value.span(),
            format!("{number} does not fit into 64 bits"),
        );
        None
    }

    // req: rpcl-4506-6.4-sizes
    /// A number of 32 bits without sign.
    pub(super) fn unsigned(&mut self, value: &Value, what: &str) -> Option<u32> {
        let number = self.number(value)?;
        if let Ok(fits) = u32::try_from(number) {
            return Some(fits);
        }
        let message = format!("{what} is {number}, expected 0 to 4294967295");
        self.error("E0401", value.span(), message);
        None
    }

    /// A number of 32 bits with sign; hexadecimal ones may have bit 31 set.
    pub(super) fn signed(&mut self, value: &Value, what: &str) -> Option<i32> {
        let number = self.number(value)?;
        if let Ok(fits) = i32::try_from(number) {
            return Some(fits);
        }
        if let (Value::Number { hex: true, .. }, Ok(bits)) = (value, u32::try_from(number)) {
            let message = format!("{what} is over 2147483647 and taken for {}", bits as i32);
            self.diagnostics
                .push(Diagnostic::warning("W0413", value.span(), message));
            return Some(bits as i32);
        }
        let message = format!("{what} is {number}, expected -2147483648 to 2147483647");
        self.error("E0401", value.span(), message);
        None
    }

    pub(super) fn lower_enum(&mut self, id: ItemId, members: &'a [EnumMember]) -> Option<Enum> {
        let mut numbers: HashMap<i32, &Name> = HashMap::new();
        let (mut values, mut aliases) = (Vec::new(), Vec::new());
        let mut next = Some(0_i32);
        for member in members {
            let number = match &member.value {
                Some(value) => self.signed(value, "the value"),
                None => self.counted(member, next),
            };
            next = number.and_then(|number| number.checked_add(1));
            let Some(value) = number else { continue };
            let (name, docs) = (member.name.text.clone(), member.docs.clone());
            let entry = EnumValue {
                name,
                value,
                docs,
                span: member.name.span,
            };
            let Some(first) = numbers.get(&value) else {
                numbers.insert(value, &member.name);
                values.push(entry);
                continue;
            };
            let message = format!("`{}` is {value}, as is `{}`", entry.name, first.text);
            let warning = Diagnostic::warning("W0414", entry.span, message);
            self.diagnostics
                .push(warning.label(first.span, "the same value"));
            aliases.push(entry);
        }
        if members.is_empty() {
            let span = self.draft(id)?.span;
            self.error("E0409", span, "the enum has no values");
        }
        let names = values
            .iter()
            .map(|it| (i64::from(it.value), it.name.clone()))
            .collect();
        self.enums.insert(id, names);
        let whole = values.len() + aliases.len() == members.len();
        whole.then_some(Enum { values, aliases })
    }

    fn counted(&mut self, member: &EnumMember, next: Option<i32>) -> Option<i32> {
        if next.is_none() {
            let message = format!(
                "`{}` needs a value: the one before it has no next",
                member.name.text
            );
            self.error("E0401", member.name.span, message);
        }
        next
    }

    /// Reports the second of two members with one name.
    pub(super) fn check_names<'n>(&mut self, names: impl Iterator<Item = &'n Name>) {
        let mut seen: HashMap<&str, &Name> = HashMap::new();
        for name in names {
            match seen.get(name.text.as_str()) {
                Some(first) => {
                    let error = duplicate("E0301", &name.text, name.span, first.span);
                    self.diagnostics.push(error);
                }
                None => {
                    seen.insert(&name.text, name);
                }
            }
        }
    }
}
