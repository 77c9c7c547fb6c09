//! What the library does not tell of an exchange: the key both ends share, and a say in what is asked for.
//!
//! Read first: RFC 4120 sections 5.3 and 5.5 (`Ticket`, `AP-REQ`, `Authenticator`, `AP-REP`), RFC 4121 section 4.1.1 (flags in the
//! authenticator's checksum), MS-RPCE section 3.3.1.5.2.2.
//!
//! Whoever has the ticket's key reads the exchange: an initiator has it in its cache, an acceptor in the ticket, under its
//! own key. MIT's initiator always asks for integrity and confidentiality, and a server that finds confidentiality asked for may
//! reserve the room of an encrypted message's token at every level; so what a level does not use is taken back
//! ([`without`](Session::without)). Nothing here decides whether an exchange is believed: that is the library's. What cannot be
//! read is left as it is.

use zeroize::Zeroizing;

use super::etype::{SessionKey, Usage};
use super::store;
use crate::spnego::der::{self, Reader, context};

/// `GSS_C_CONF_FLAG`.
pub(super) const CONFIDENTIALITY: u32 = 0x10;
/// `GSS_C_INTEG_FLAG`.
pub(super) const INTEGRITY: u32 = 0x20;

const INTEGER: u8 = 0x02;

/// A constructed tag of class application.
const fn application(number: u8) -> u8 {
    0x60 | (number & 0x1f)
}

/// The checksum that holds the flags (RFC 4121 section 4.1.1): its type, and where they stand in it.
const GSS_CHECKSUM: i32 = 0x8003;
const FLAGS_AT: usize = 20;

/// The keys of an exchange.
pub(super) struct Session {
    ticket: SessionKey,
    /// The initiator's own key, if it sent one.
    own: Option<SessionKey>,
}

/// A value that is encrypted.
struct Encrypted<'a> {
    etype: i32,
    cipher: &'a [u8],
}

impl Session {
    /// As the initiator whose cache of tickets this is, from its `AP-REQ`.
    pub(super) fn of_initiator(cache: &[u8], ap_req: &[u8]) -> Option<Self> {
        let (ticket, _) = request(ap_req)?;
        let mut tickets = store::tickets(cache).into_iter();
        let found = tickets.find(|it| it.ticket == ticket)?;
        Self::of(found.key, ap_req)
    }

    /// As the acceptor whose keytab this is, from the `AP-REQ` that came.
    pub(super) fn of_acceptor(keytab: &[u8], ap_req: &[u8]) -> Option<Self> {
        let (ticket, _) = request(ap_req)?;
        let inner = der::only(der::only(ticket, application(1)).ok()?, der::SEQUENCE).ok()?;
        let sealed = encrypted(field(inner, 3)?)?;
        let keys = store::keys(keytab).into_iter();
        let mut fitting = keys.filter(|key| key.etype() == sealed.etype);
        let (opened, skip) = fitting.find_map(|key| {
            let opened = key.open(Usage::TICKET, sealed.cipher)?;
            Some((opened, key.confounder()))
        })?;
        let part = application_sequence(opened.get(skip..)?, 3)?;
        Self::of(key_of(field(part, 1)?)?, ap_req)
    }

    fn of(ticket: SessionKey, ap_req: &[u8]) -> Option<Self> {
        let (_, sealed) = request(ap_req)?;
        let opened = ticket.open(Usage::AUTHENTICATOR, sealed.cipher)?;
        let part = application_sequence(opened.get(ticket.confounder()..)?, 2)?;
        let own = field(part, 6).and_then(key_of);
        Some(Self { ticket, own })
    }

    // req: rpce-3.3.1.5.2.2-flags
    /// The same `AP-REQ` with these flags taken back; nothing if it cannot be done.
    pub(super) fn without(&self, flags: u32, ap_req: &[u8]) -> Option<Vec<u8>> {
        let (_, sealed) = request(ap_req)?;
        let mut opened = self.ticket.open(Usage::AUTHENTICATOR, sealed.cipher)?;
        let at = flags_in(&opened, self.ticket.confounder())?;
        let place = opened.get_mut(at..)?.first_chunk_mut::<4>()?;
        *place = (u32::from_le_bytes(*place) & !flags).to_le_bytes();
        let changed = self.ticket.seal(Usage::AUTHENTICATOR, &opened)?;
        replaced(ap_req, sealed.cipher, &changed)
    }

    /// The key that both ends share, from the `AP-REP`: the acceptor's, or else the initiator's, or else the ticket's.
    pub(super) fn key(&self, ap_rep: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let body = der::only(unframed(ap_rep)?, application(15)).ok()?;
        let sealed = encrypted(field(der::only(body, der::SEQUENCE).ok()?, 2)?)?;
        let opened = self.ticket.open(Usage::AP_REP, sealed.cipher)?;
        let part = application_sequence(opened.get(self.ticket.confounder()..)?, 27)?;
        let theirs = field(part, 2).and_then(key_of);
        let key = theirs
            .as_ref()
            .or(self.own.as_ref())
            .unwrap_or(&self.ticket);
        Some(Zeroizing::new(key.bytes().to_vec()))
    }
}

/// The ticket and the authenticator of an `AP-REQ`.
fn request(ap_req: &[u8]) -> Option<(&[u8], Encrypted<'_>)> {
    let body = der::only(unframed(ap_req)?, application(14)).ok()?;
    let fields = der::only(body, der::SEQUENCE).ok()?;
    Some((field(fields, 3)?, encrypted(field(fields, 4)?)?))
}

/// A message without the frame of the GSS-API, which there is outside of the DCE style (RFC 2743 section 3.1).
fn unframed(token: &[u8]) -> Option<&[u8]> {
    if token.first() != Some(&der::APPLICATION_0) {
        return Some(token);
    }
    let mut inner = Reader::new(der::only(token, der::APPLICATION_0).ok()?);
    inner.expect(der::OID).ok()?;
    inner.rest().get(2..)
}

/// What stands in a sequence under this number.
fn field(sequence: &[u8], number: u8) -> Option<&[u8]> {
    let mut reader = Reader::new(sequence);
    loop {
        let tag = reader.peek()?;
        let value = reader.expect(tag).ok()?;
        if tag == context(number) {
            return Some(value);
        }
    }
}

/// The sequence inside a value of class application; what follows it is padding.
fn application_sequence(bytes: &[u8], number: u8) -> Option<&[u8]> {
    let value = Reader::new(bytes).expect(application(number)).ok()?;
    der::only(value, der::SEQUENCE).ok()
}

fn encrypted(value: &[u8]) -> Option<Encrypted<'_>> {
    let fields = der::only(value, der::SEQUENCE).ok()?;
    let etype = integer(field(fields, 0)?)?;
    let cipher = der::only(field(fields, 2)?, der::OCTET_STRING).ok()?;
    Some(Encrypted { etype, cipher })
}

fn key_of(value: &[u8]) -> Option<SessionKey> {
    let fields = der::only(value, der::SEQUENCE).ok()?;
    let etype = integer(field(fields, 0)?)?;
    let bytes = der::only(field(fields, 1)?, der::OCTET_STRING).ok()?;
    Some(SessionKey::new(etype, bytes))
}

/// A number of up to 32 bits.
fn integer(value: &[u8]) -> Option<i32> {
    let bytes = der::only(value, INTEGER).ok()?;
    let negative = bytes.first()? & 0x80 != 0;
    let start = if negative { -1_i32 } else { 0 };
    let fits = bytes.len() <= 4;
    fits.then(|| {
        bytes
            .iter()
            .fold(start, |number, byte| (number << 8) | i32::from(*byte))
    })
}

/// Where the flags stand in an authenticator that begins at `skip`.
fn flags_in(opened: &[u8], skip: usize) -> Option<usize> {
    let part = application_sequence(opened.get(skip..)?, 2)?;
    let fields = der::only(field(part, 3)?, der::SEQUENCE).ok()?;
    if integer(field(fields, 0)?)? != GSS_CHECKSUM {
        return None;
    }
    let checksum = der::only(field(fields, 1)?, der::OCTET_STRING).ok()?;
    let flags = checksum.get(FLAGS_AT..)?.get(..4)?;
    // Of the slice's two ends, that of the buffer is known.
    position(opened, checksum)
        .filter(|_| flags.len() == 4)?
        .checked_add(FLAGS_AT)
}

/// Where a part of `whole` begins.
fn position(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole
        .windows(part.len())
        .position(|it| std::ptr::eq(it, part))
}

/// The same bytes with a part of them exchanged for as many others.
fn replaced(whole: &[u8], part: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let at = position(whole, part)?;
    let mut bytes = whole.to_vec();
    let place = bytes.get_mut(at..)?.get_mut(..part.len())?;
    (place.len() == other.len()).then(|| place.copy_from_slice(other))?;
    Some(bytes)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod tests {
    use super::*;
    use crate::spnego::der::element;

    fn tagged(number: u8, value: &[u8]) -> Vec<u8> {
        element(context(number), value)
    }

    fn int(value: &[u8]) -> Vec<u8> {
        element(INTEGER, value)
    }

    fn sequence(fields: &[Vec<u8>]) -> Vec<u8> {
        element(der::SEQUENCE, &fields.concat())
    }

    fn key_value(key: &SessionKey) -> Vec<u8> {
        let etype = u8::try_from(key.etype()).unwrap();
        sequence(&[
            tagged(0, &int(&[etype])),
            tagged(1, &element(der::OCTET_STRING, key.bytes())),
        ])
    }

    /// Something encrypted, behind a confounder.
    fn sealed(key: &SessionKey, usage: Usage, part: &[u8]) -> Vec<u8> {
        let message = [&vec![0x5a; key.confounder()], part].concat();
        let etype = u8::try_from(key.etype()).unwrap();
        sequence(&[
            tagged(0, &int(&[etype])),
            tagged(1, &int(&[2])),
            tagged(
                2,
                &element(der::OCTET_STRING, &key.seal(usage, &message).unwrap()),
            ),
        ])
    }

    struct Exchange {
        service: SessionKey,
        theirs: SessionKey,
        ap_req: Vec<u8>,
        ap_rep: Vec<u8>,
    }

    /// By hand after RFC 4120 appendix A, with what is not looked at left out.
    fn exchange(etype: i32, len: usize, flags: u32) -> Exchange {
        let key = |byte: u8| SessionKey::new(etype, &vec![byte; len]);
        let (service, ticket_key, own, theirs) = (key(1), key(2), key(3), key(4));
        let part = sequence(&[tagged(0, &[3, 1, 0]), tagged(1, &key_value(&ticket_key))]);
        let part = element(application(3), &part);
        let ticket = sequence(&[
            tagged(0, &int(&[5])),
            tagged(3, &sealed(&service, Usage::TICKET, &part)),
        ]);
        let ticket = element(application(1), &ticket);
        let checksum = [&[16, 0, 0, 0][..], &[0; 16], &flags.to_le_bytes()].concat();
        let checksum = sequence(&[
            tagged(0, &int(&[0, 0x80, 3])),
            tagged(1, &element(der::OCTET_STRING, &checksum)),
        ]);
        let authenticator = sequence(&[
            tagged(0, &int(&[5])),
            tagged(3, &checksum),
            tagged(6, &key_value(&own)),
        ]);
        let authenticator = element(application(2), &authenticator);
        let authenticator = sealed(&ticket_key, Usage::AUTHENTICATOR, &authenticator);
        let ap_req = sequence(&[
            tagged(0, &int(&[5])),
            tagged(1, &int(&[14])),
            tagged(3, &ticket),
            tagged(4, &authenticator),
        ]);
        let part = sequence(&[tagged(1, &int(&[1])), tagged(2, &key_value(&theirs))]);
        let part = element(application(27), &part);
        let ap_rep = sequence(&[
            tagged(0, &int(&[5])),
            tagged(2, &sealed(&ticket_key, Usage::AP_REP, &part)),
        ]);
        Exchange {
            service,
            theirs,
            ap_req: element(application(14), &ap_req),
            ap_rep: element(application(15), &ap_rep),
        }
    }

    fn keytab(key: &SessionKey) -> Vec<u8> {
        let mut entry = vec![0, 0, 0, 1, b'R', 0, 0, 0, 1, 0, 0, 0, 0, 2];
        entry.extend(u16::try_from(key.etype()).unwrap().to_be_bytes());
        entry.extend(u16::try_from(key.bytes().len()).unwrap().to_be_bytes());
        entry.extend(key.bytes());
        let len = u32::try_from(entry.len()).unwrap();
        [&[5, 2][..], &len.to_be_bytes(), &entry].concat()
    }

    const ALL: u32 = 0x103e;

    #[test]
    fn an_acceptor_finds_the_shared_key_and_flags_that_were_taken_back() {
        for (etype, len) in [(17, 16), (18, 32), (19, 16), (20, 32), (23, 16)] {
            let it = exchange(etype, len, ALL);
            let keytab = keytab(&it.service);
            let session = Session::of_acceptor(&keytab, &it.ap_req).unwrap();
            assert_eq!(*session.key(&it.ap_rep).unwrap(), it.theirs.bytes());
            let changed = session
                .without(CONFIDENTIALITY | INTEGRITY, &it.ap_req)
                .unwrap();
            assert_eq!(changed.len(), it.ap_req.len());
            let again = Session::of_acceptor(&keytab, &changed).unwrap();
            assert_eq!(*again.key(&it.ap_rep).unwrap(), it.theirs.bytes());
            let (_, sealed) = request(&changed).unwrap();
            let opened = session
                .ticket
                .open(Usage::AUTHENTICATOR, sealed.cipher)
                .unwrap();
            let at = flags_in(&opened, session.ticket.confounder()).unwrap();
            assert_eq!(opened[at..at + 4], 0x100e_u32.to_le_bytes());
        }
    }

    #[test]
    fn a_frame_of_the_gss_api_changes_nothing() {
        let it = exchange(18, 32, ALL);
        let framed = [&element(der::OID, &[1, 2])[..], &[1, 0], &it.ap_req].concat();
        let framed = element(der::APPLICATION_0, &framed);
        let session = Session::of_acceptor(&keytab(&it.service), &framed).unwrap();
        assert!(session.key(&it.ap_rep).is_some());
        assert!(session.without(INTEGRITY, &framed).is_some());
    }

    #[test]
    fn what_is_changed_or_cut_off_says_nothing() {
        let it = exchange(17, 16, ALL);
        let keytab = keytab(&it.service);
        let session = Session::of_acceptor(&keytab, &it.ap_req).unwrap();
        for len in 0..it.ap_req.len() {
            assert!(Session::of_acceptor(&keytab, &it.ap_req[..len]).is_none());
        }
        for len in 0..it.ap_rep.len() {
            assert!(session.key(&it.ap_rep[..len]).is_none());
        }
        assert!(Session::of_initiator(&[], &it.ap_req).is_none());
        let stranger = self::keytab(&SessionKey::new(17, &[9; 16]));
        assert!(Session::of_acceptor(&stranger, &it.ap_req).is_none());
    }
}
