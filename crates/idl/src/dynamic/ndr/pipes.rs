//! Calls whose pipes come and go by and by: their elements, and what stands beside them.
//!
//! Read first: C706 section 14.3.9 (pipes). What this file does not do: it knows no connection; whoever has one feeds an
//! [`Outflow`] and reads an [`Inflow`].

use farcall_wire::ndr::{In, Inflow, Outflow, Pipe, Reader, Shape as _, Taken};
use farcall_wire::{Bytes, DecodeError, DecodeErrorKind, EncodeError};
use serde_json::{Map, Value};

use super::super::Error;
use super::from_json::FromJson;
use super::val::Val;
use super::walk::{Trail, part};
use super::{Codec, RESULT, Writer, empty};
use crate::model::ndr::{Base, ItemKind, Operation, Parameter, Type};

/// A parameter that is a pipe.
#[derive(Clone, Debug)]
pub struct Piped<'m> {
    /// The parameter.
    pub parameter: &'m Parameter,
    /// What it is made of.
    pub elements: Elements<'m>,
}

/// How the elements of a pipe become bytes and come from them.
#[derive(Clone, Debug)]
pub struct Elements<'m> {
    codec: Codec<'m>,
    ty: &'m Type,
}

/// An element of a pipe.
#[derive(Clone, Debug)]
pub struct Element(Val);

impl Elements<'_> {
    /// Whether elements are bytes, so that the pipe is as a file is.
    pub fn are_bytes(&self) -> bool {
        let ty = self.codec.defs.on_wire(self.ty);
        matches!(ty, Type::Base(Base::Byte | Base::Char | Base::USmall))
    }

    /// An element.
    ///
    /// # Errors
    /// The place in the value that the type does not allow.
    pub fn element(&self, value: &Value) -> Result<Element, Error> {
        FromJson::new(self.codec.defs)
            .value(self.ty, value)
            .map(Element)
    }

    /// All elements of a pipe that is there as a whole.
    ///
    /// # Errors
    /// The place in the value that the type does not allow.
    pub fn elements(&self, value: &Value) -> Result<Vec<Element>, Error> {
        match FromJson::new(self.codec.defs).pipe(self.ty, value)? {
            Val::Pipe(Pipe(items)) => Ok(items.into_iter().map(Element).collect()),
            _ => Ok(Vec::new()),
        }
    }

    /// Writes elements.
    ///
    /// # Errors
    /// What the interface does not allow.
    pub fn put(&self, items: &[Element], flow: &mut Outflow) -> Result<Bytes, EncodeError> {
        let items: Vec<Val> = items.iter().map(|item| item.0.clone()).collect();
        let trail = Trail::default();
        flow.items(self.codec.dynamic(self.ty, &[], &trail), &items)
    }

    /// Reads elements.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn take(&self, flow: &mut Inflow) -> Result<Taken<Value>, DecodeError> {
        let trail = Trail::default();
        let taken: Taken<Val> = flow.next(self.codec.dynamic(self.ty, &[], &trail))?;
        Ok(match taken {
            Taken::More => Taken::More,
            Taken::End => Taken::End,
            Taken::Items(items) => {
                let shown = items.iter().map(|item| {
                    let shown = self.codec.shown().value(self.ty, item, &[]);
                    shown.map_err(|_| unshown())
                });
                Taken::Items(shown.collect::<Result<_, _>>()?)
            }
        })
    }
}

/// What JSON has no form for, which only a wrong count can be.
fn unshown() -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::Invalid("a count does not agree with its array"),
        0,
    )
}

/// The results of a call beside its pipes.
#[derive(Clone, Debug)]
pub struct Beside<'m> {
    codec: Codec<'m>,
    operation: &'m Operation,
    here: Vec<Val>,
}

impl Beside<'_> {
    /// Reads them.
    ///
    /// # Errors
    /// What is wrong with the bytes; [`Truncated`](DecodeErrorKind::Truncated) while not all have come.
    pub fn read(&self, r: &mut Reader<'_>) -> Result<Value, DecodeError> {
        let (codec, operation) = (&self.codec, self.operation);
        let mut here = self.here.clone();
        for (at, parameter) in operation.params.iter().enumerate() {
            if !parameter.is_out || codec.is_pipe(&parameter.ty) {
                continue;
            }
            let (ty, behind) = codec.passed(&parameter.ty);
            let trail = Trail::default();
            let shape = codec.dynamic(ty, &here, &trail);
            let value = match part(parameter.flags) {
                None => shape.read(r)?,
                Some(part) => In(part, shape).read(r)?,
            };
            here[at] = match behind {
                true => Val::Pointer(Some(Box::new(value))),
                false => value,
            };
        }
        let mut result = None;
        if operation.result != Type::Void {
            let trail = Trail::default();
            let value = codec.dynamic(&operation.result, &here, &trail).read(r)?;
            let shown = codec.shown().value(&operation.result, &value, &here);
            result = Some(shown.map_err(|_| unshown())?);
        }
        let wanted = |it: &Parameter| it.is_out && !codec.is_pipe(&it.ty);
        let mut members = codec
            .members(operation, &here, wanted)
            .map_err(|_| unshown())?;
        members.extend(result.map(|result| (RESULT.to_owned(), result)));
        Ok(Value::Object(members))
    }
}

impl<'m> Codec<'m> {
    /// The pipes of an operation, in their order.
    pub fn pipes(&self, operation: &'m Operation) -> Vec<Piped<'m>> {
        let params = operation.params.iter();
        params
            .filter_map(|parameter| {
                let elements = Elements {
                    codec: self.clone(),
                    ty: self.piped(&parameter.ty)?,
                };
                Some(Piped {
                    parameter,
                    elements,
                })
            })
            .collect()
    }

    /// What a pipe is made of.
    fn piped(&self, ty: &'m Type) -> Option<&'m Type> {
        match self.defs.on_wire(ty) {
            Type::Pipe(inner) => Some(inner),
            Type::Pointer(it) => self.piped(&it.pointee),
            Type::Named(id) => match &self.defs.item(*id).kind {
                ItemKind::Pipe(inner) => Some(inner),
                _ => None,
            },
            _ => None,
        }
    }

    /// The arguments of an operation but for its pipes, which `arguments` does not have.
    ///
    /// # Errors
    /// As [`encode_in`](Self::encode_in).
    pub fn encode_beside(
        &self,
        operation: &Operation,
        arguments: &Map<String, Value>,
    ) -> Result<Vec<u8>, Error> {
        let here = self.values(
            operation,
            arguments,
            |it| it.is_in,
            empty(operation.params.len()),
        )?;
        let mut writer = Writer::new(self.syntax, self.order);
        for (at, parameter) in operation.params.iter().enumerate() {
            if parameter.is_in && !self.is_pipe(&parameter.ty) {
                self.put(parameter, &here, at, &mut writer)?;
            }
        }
        Ok(writer.into_bytes())
    }

    /// The results of an operation but for its pipes, to be read once they come.
    ///
    /// # Errors
    /// As [`encode_beside`](Self::encode_beside).
    pub fn beside(
        &self,
        operation: &'m Operation,
        arguments: &Map<String, Value>,
    ) -> Result<Beside<'m>, Error> {
        let count = operation.params.len();
        let mut here = self.values(operation, arguments, |it| it.is_in, empty(count))?;
        for (value, parameter) in here.iter_mut().zip(&operation.params) {
            if parameter.is_out {
                *value = Val::default();
            }
        }
        Ok(Beside {
            codec: self.clone(),
            operation,
            here,
        })
    }
}
