//! What is registered with the endpoint mapper: one way to one interface, perhaps of one object.
//!
//! Read first: C706 appendix O (`ept_entry_t`) and MS-RPCE section 2.2.1.2.3. Towers are checked when they come in, so
//! an element in the registry is always one that a client can use.

use crate::mapping::Owner;
use crate::process::Process;
use farcall_dce::syntax::SyntaxId;
use farcall_dce::tower::{Protseq, Tower};
use farcall_wire::Uuid;

/// Longest annotation, in bytes: 64 with the closing NUL.
pub const MAX_ANNOTATION: usize = 63;

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The object; [`Uuid::NIL`] where the interface is everything's.
    pub object: Uuid,
    /// The interface.
    pub interface: SyntaxId,
    /// How bytes travel.
    pub protseq: Protseq,
    /// All of the way.
    pub tower: Tower,
    /// What the server says of itself, at most [`MAX_ANNOTATION`] bytes.
    pub annotation: Vec<u8>,
    /// Who registered it.
    pub owner: Owner,
    /// The process that did, if it is known.
    pub process: Option<Process>,
}

impl Element {
    /// An element, if its tower leads to an endpoint that can be called. The annotation ends at its first NUL and
    /// at its longest.
    #[must_use]
    pub fn new(object: Uuid, tower: Tower, annotation: &[u8], owner: Owner) -> Option<Self> {
        let interface = tower.interface()?;
        tower.transfer()?;
        let protseq = tower.protseq()?;
        if tower.endpoint()?.is_empty() {
            return None;
        }
        let text = annotation.split(|byte| *byte == 0).next();
        let annotation = text.unwrap_or_default().iter().take(MAX_ANNOTATION);
        Some(Self {
            object,
            interface,
            protseq,
            annotation: annotation.copied().collect(),
            tower,
            owner,
            process: None,
        })
    }

    /// The same, registered by this process.
    #[must_use]
    pub fn by(mut self, process: Option<Process>) -> Self {
        self.process = process;
        self
    }

    /// Whether it says the same as another, annotation and owner aside.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.object == other.object && self.tower == other.tower
    }

    /// Whether it speaks of the same object and interface, over whatever way.
    #[must_use]
    pub fn is_of_same(&self, other: &Self) -> bool {
        (self.object, self.interface.uuid) == (other.object, other.interface.uuid)
    }

    /// Whether a newer `other` makes it obsolete: the same object, interface and major version, over the same
    /// protocol sequence.
    #[must_use]
    pub fn is_replaced_by(&self, other: &Self) -> bool {
        self.is_of_same(other)
            && self.interface.major == other.interface.major
            && self.protseq == other.protseq
            && self.tower.transfer() == other.tower.transfer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn element(protseq: Protseq, endpoint: &str, annotation: &[u8]) -> Option<Element> {
        let interface = SyntaxId::NDR64;
        let host = Ipv4Addr::LOCALHOST;
        let tower = Tower::new(interface, SyntaxId::NDR, protseq, endpoint, host)?;
        Element::new(Uuid::NIL, tower, annotation, Owner::Unknown)
    }

    #[test]
    fn a_way_that_leads_nowhere_is_no_element() {
        assert!(element(Protseq::Tcp, "99", b"").is_some());
        assert!(element(Protseq::Tcp, "0", b"").is_none());
        assert!(element(Protseq::Tcp, "", b"").is_none());
        assert!(element(Protseq::Local, "", b"").is_none());
        assert!(Element::new(Uuid::NIL, Tower::default(), b"", Owner::Unknown).is_none());
    }

    #[test]
    fn annotations_end_at_a_nul_and_at_their_longest() {
        let annotation = |bytes: &[u8]| element(Protseq::Tcp, "9", bytes).map(|it| it.annotation);
        assert_eq!(annotation(b"clock\0rest"), Some(b"clock".to_vec()));
        assert_eq!(annotation(&[b'x'; 200]).map(|it| it.len()), Some(63));
    }
}
