//! Lists: structures with a unique pointer to the next of their kind, kept in a `Vec`.
//!
//! Read first: C706 section 14.3.12.3 (deferral of referents). Where a structure's pointers are written, the next one comes
//! at its pointer's turn, with all that it points at; what pointers behind that one point at comes when the whole rest
//! of the list is written. So a list is walked forth for what is in front of the links, and back for what is behind
//! them: in loops, however long it is. Pointers that are labels ([`Full`](super::Full)) do not make a list.

use crate::error::{At as _, DecodeError, EncodeError, EncodeErrorKind};

use super::read::Reader;
use super::shape::Shape;
use super::syntax::Align;
use super::value::{Put, Take};
use super::write::Writer;

/// One of a list: a structure without the pointer to the next one. Generated code implements it.
pub trait Link: Default {
    /// As [`Value::ALIGN`](super::Value::ALIGN).
    const ALIGN: Align;
    /// As [`Value::MIN`](super::Value::MIN).
    const MIN: usize;

    /// As [`Value::put_counts`](super::Value::put_counts).
    ///
    /// # Errors
    /// What the interface does not allow.
    #[inline]
    fn put_counts(&self, _: &mut Writer) -> Put {
        Ok(())
    }

    /// Writes what lies in place, with a pointer to the next one if there are `more`.
    ///
    /// # Errors
    /// What the interface does not allow.
    fn put(&self, more: bool, w: &mut Writer) -> Put;

    /// Writes what the pointers in front of the link point at.
    ///
    /// # Errors
    /// What the interface does not allow.
    #[inline]
    fn put_before(&self, _: &mut Writer) -> Put {
        Ok(())
    }

    /// Writes what the pointers behind the link point at.
    ///
    /// # Errors
    /// What the interface does not allow.
    #[inline]
    fn put_behind(&self, _: &mut Writer) -> Put {
        Ok(())
    }

    /// As [`Value::take_counts`](super::Value::take_counts).
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    fn take_counts(_: &mut Reader<'_>) -> Take {
        Ok(())
    }

    /// Reads what lies in place; whether there are more.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn take(&mut self, r: &mut Reader<'_>) -> Result<bool, DecodeError>;

    /// Reads what the pointers in front of the link point at.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    fn take_before(&mut self, _: &mut Reader<'_>) -> Take {
        Ok(())
    }

    /// Reads what the pointers behind the link point at.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    fn take_behind(&mut self, _: &mut Reader<'_>) -> Take {
        Ok(())
    }
}

/// A list whose first element lies in place: there is at least one.
#[derive(Clone, Copy, Debug)]
pub struct Chain;

impl<T: Link> Shape<Vec<T>> for Chain {
    const ALIGN: Align = T::ALIGN;
    const MIN: usize = T::MIN;

    fn put_counts(self, it: &Vec<T>, w: &mut Writer) -> Put {
        first(it)?.put_counts(w)
    }

    fn put(self, it: &Vec<T>, w: &mut Writer) -> Put {
        first(it)?.put(it.len() > 1, w)
    }

    fn put_referents(self, it: &Vec<T>, w: &mut Writer) -> Put {
        // req: c706-14.3.12-lists
        for (at, node) in it.iter().enumerate() {
            node.put_before(w).at_index(at)?;
            let rest = it.get(at.saturating_add(1)..).unwrap_or_default();
            if let Some(next) = rest.first() {
                next.put_counts(w).at_index(at)?;
                next.put(rest.len() > 1, w).at_index(at)?;
            }
        }
        let mut back = it.iter().enumerate().rev();
        back.try_for_each(|(at, node)| node.put_behind(w).at_index(at))
    }

    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        T::take_counts(r)
    }

    fn take(self, it: &mut Vec<T>, r: &mut Reader<'_>) -> Take {
        it.clear();
        // A second element says that there is one, and waits for it.
        if take_node(it, r)? {
            it.push(T::default());
        }
        Ok(())
    }

    fn take_referents(self, it: &mut Vec<T>, r: &mut Reader<'_>) -> Take {
        let mut more = it.len() > 1;
        it.truncate(1);
        let mut at = 0_usize;
        while let Some(node) = it.last_mut() {
            node.take_before(r).at_index(at)?;
            if !more {
                break;
            }
            T::take_counts(r).at_index(at)?;
            more = take_node(it, r).at_index(at)?;
            at = at.saturating_add(1);
        }
        let mut back = it.iter_mut().enumerate().rev();
        back.try_for_each(|(at, node)| node.take_behind(r).at_index(at))
    }
}

/// Reads what lies in place of the next element; whether there are more.
fn take_node<T: Link>(it: &mut Vec<T>, r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    r.burn(1)?;
    // A vector that grows may have room for as many again.
    r.charge(size_of::<T>().saturating_mul(2))?;
    let mut node = T::default();
    let more = node.take(r)?;
    it.push(node);
    Ok(more)
}

/// A unique pointer to the first element of a list; none if it is null.
#[derive(Clone, Copy, Debug)]
pub struct List;

impl<T: Link> Shape<Vec<T>> for List {
    const ALIGN: Align = Align::WIDE;
    const MIN: usize = 4;

    fn put(self, it: &Vec<T>, w: &mut Writer) -> Put {
        w.referent(!it.is_empty())
    }

    fn put_referents(self, it: &Vec<T>, w: &mut Writer) -> Put {
        match it.is_empty() {
            true => Ok(()),
            false => w.nested(|w| Chain.put_whole(it, w)),
        }
    }

    fn take(self, it: &mut Vec<T>, r: &mut Reader<'_>) -> Take {
        it.clear();
        if r.referent()? {
            r.charge(size_of::<T>())?;
            it.push(T::default());
        }
        Ok(())
    }

    fn take_referents(self, it: &mut Vec<T>, r: &mut Reader<'_>) -> Take {
        match it.is_empty() {
            true => Ok(()),
            false => r.nested(|r| Chain.take_whole(it, r)),
        }
    }
}

fn first<T>(it: &[T]) -> Result<&T, EncodeError> {
    let none = EncodeErrorKind::Invalid("a list in place has at least one element");
    it.first().ok_or_else(|| EncodeError::new(none))
}
