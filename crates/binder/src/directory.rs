//! Who may register what with the endpoint mapper, and what is found: its rules, apart from its messages.
//!
//! Read first: C706 appendix O and MS-RPCE sections 3.1.1.5.5 and 3.1.2 (what an inquiry matches). An interface of an
//! object belongs to whoever registered it first, so nobody else's server can be put in its place; nobody registers
//! what the mapper serves itself. Registrations come from this machine only and from callers that are known; their
//! callers' identities are found out in [`epm`](crate::epm).

use crate::element::Element;
use crate::mapping::Owner;
use crate::store::{Store, StoreError};
use core::net::Ipv4Addr;
use farcall_dce::syntax::SyntaxId;
use farcall_dce::tower::Tower;
use farcall_wire::Uuid;
use std::sync::{Arc, OnceLock};

/// Which versions of an interface an inquiry takes (`vers_option`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Any.
    All,
    /// The same major version and at least this minor one.
    Compatible,
    /// Exactly this.
    Exact,
    /// The same major version.
    MajorOnly,
    /// This one and all before.
    UpTo,
}

impl Versions {
    /// The option with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::All,
            2 => Self::Compatible,
            3 => Self::Exact,
            4 => Self::MajorOnly,
            5 => Self::UpTo,
            _ => return None,
        })
    }

    fn take(self, asked: SyntaxId, there: SyntaxId) -> bool {
        let (asked, there) = ((asked.major, asked.minor), (there.major, there.minor));
        match self {
            Self::All => true,
            Self::Compatible => there.0 == asked.0 && there.1 >= asked.1,
            Self::Exact => there == asked,
            Self::MajorOnly => there.0 == asked.0,
            Self::UpTo => there <= asked,
        }
    }
}

/// What an inquiry looks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inquiry {
    /// Elements of this interface, in these of its versions.
    pub interface: Option<(SyntaxId, Versions)>,
    /// Elements of this object.
    pub object: Option<Uuid>,
}

impl Inquiry {
    fn takes(&self, element: &Element) -> bool {
        let interface = self.interface.is_none_or(|(asked, versions)| {
            asked.uuid == element.interface.uuid && versions.take(asked, element.interface)
        });
        interface && self.object.is_none_or(|object| object == element.object)
    }
}

/// Why elements were not registered or taken back. Nothing changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// They belong to somebody else, or to the mapper itself.
    #[error("they belong to {0}")]
    Foreign(Owner),
    /// Some are not registered.
    #[error("not registered")]
    NotRegistered,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The elements of a machine and the rules for them.
#[derive(Debug)]
pub struct Directory<S> {
    store: Arc<S>,
    /// The mapper's own elements, known once it listens.
    own: OnceLock<Vec<Element>>,
}

impl<S: Store> Directory<S> {
    /// The rules over a store.
    #[must_use]
    pub fn new(store: impl Into<Arc<S>>) -> Self {
        Self {
            store: store.into(),
            own: OnceLock::new(),
        }
    }

    /// Says where the mapper itself is to be found; the first word counts.
    pub fn announce(&self, own: Vec<Element>) {
        // Said once, when the server has started.
        let _ = self.own.set(own);
    }

    /// Registers elements, all or none. One that is there already gets the new annotation. `replace` takes away what
    /// the new ones make obsolete.
    ///
    /// # Errors
    /// [`Refused`].
    // req: dce-epm-owner
    pub async fn insert(&self, elements: Vec<Element>, replace: bool) -> Result<(), Refused> {
        if let Some(own) = elements
            .iter()
            .find_map(|new| self.own().iter().find(|own| own.is_of_same(new)))
        {
            return Err(Refused::Foreign(own.owner.clone()));
        }
        let edit = |all: &mut Vec<Element>| put(all, &elements, replace);
        self.store.edit_elements(edit).await?
    }

    /// Takes elements back, all or none.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn delete(&self, elements: &[Element], by: &Owner) -> Result<(), Refused> {
        let edit = |all: &mut Vec<Element>| take(all, elements, by);
        self.store.edit_elements(edit).await?
    }

    /// Takes exactly these elements away, whoever they belong to; one that has changed meanwhile stays. How many are
    /// gone.
    ///
    /// # Errors
    /// What the store says.
    pub async fn forget(&self, elements: &[Element]) -> Result<usize, StoreError> {
        let before = self.store.elements().len();
        let edit = |all: &mut Vec<Element>| -> Result<(), Refused> {
            all.retain(|there| !elements.contains(there));
            Ok(())
        };
        // The edit refuses nothing.
        let _ = self.store.edit_elements(edit).await?;
        Ok(before.saturating_sub(self.store.elements().len()))
    }

    /// The elements that an inquiry is about, the mapper's own first.
    #[must_use]
    pub fn lookup(&self, inquiry: &Inquiry) -> Vec<Element> {
        let all = self.all().into_iter();
        all.filter(|element| inquiry.takes(element)).collect()
    }

    /// The ways to what `tower` names: a compatible version of its interface, over its protocols. Elements of this
    /// object go first; if there are none, those of no object in particular are meant.
    // req: dce-epm-map
    #[must_use]
    pub fn map(&self, object: Option<Uuid>, tower: &Tower) -> Vec<Element> {
        let (Some(interface), Some(transfer), Some(protseq)) =
            (tower.interface(), tower.transfer(), tower.protseq())
        else {
            return Vec::new();
        };
        let asked = Inquiry {
            interface: Some((interface, Versions::Compatible)),
            object: None,
        };
        let mut found = self.lookup(&asked);
        found.retain(|it| it.protseq == protseq && it.tower.transfer() == Some(transfer));
        let object = object.unwrap_or(Uuid::NIL);
        let meant = match found.iter().any(|it| it.object == object) {
            true => object,
            false => Uuid::NIL,
        };
        found.retain(|it| it.object == meant);
        found
    }

    /// Everything, the mapper's own elements first.
    #[must_use]
    pub fn all(&self) -> Vec<Element> {
        let elements = self.store.elements();
        self.own().iter().chain(elements.iter()).cloned().collect()
    }

    fn own(&self) -> &[Element] {
        self.own.get().map_or(&[], Vec::as_slice)
    }
}

/// Adds elements to all there are, or says whose they would displace.
fn put(all: &mut Vec<Element>, elements: &[Element], replace: bool) -> Result<(), Refused> {
    for new in elements {
        let mut of_same = all.iter().filter(|there| there.is_of_same(new));
        if let Some(other) = of_same.find(|there| !new.owner.may_remove(&there.owner)) {
            return Err(Refused::Foreign(other.owner.clone()));
        }
        all.retain(|there| !(there.is_same(new) || replace && there.is_replaced_by(new)));
        all.push(new.clone());
    }
    Ok(())
}

/// Takes elements away from all there are, or says why not.
fn take(all: &mut Vec<Element>, elements: &[Element], by: &Owner) -> Result<(), Refused> {
    for old in elements {
        let at = all.iter().position(|there| there.is_same(old));
        let at = at.ok_or(Refused::NotRegistered)?;
        let owner = &all.get(at).ok_or(Refused::NotRegistered)?.owner;
        if !by.may_remove(owner) {
            return Err(Refused::Foreign(owner.clone()));
        }
        all.remove(at);
    }
    Ok(())
}

/// An element's tower as a caller can use it: "any address" is the one that the caller reached us at.
#[must_use]
pub fn reachable(element: &Element, reached_at: Option<Ipv4Addr>) -> Tower {
    let tower = element.tower.clone();
    match (tower.address(), reached_at) {
        (Some(address), Some(host)) if address.is_unspecified() => tower.at(host),
        _ => tower,
    }
}

#[cfg(test)]
mod tests;
