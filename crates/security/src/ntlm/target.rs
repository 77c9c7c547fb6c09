//! Attribute pairs: what a server says of itself in the challenge, and a client adds in its response.
//!
//! Read first: MS-NLMP section 2.2.2.1 (`AV_PAIR`). A list that was received is kept as its bytes, since the client's
//! proof is over them; [`Pairs::parse`] checks it once and looks things up after that.

use farcall_dce::security::Denied;

/// Most pairs in a list that is accepted; the specification knows ten.
const MAX_PAIRS: usize = 64;

/// What a pair is about (`AvId`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvId(pub u16);

impl AvId {
    /// The end of the list.
    pub const EOL: Self = Self(0);
    /// NetBIOS name of the server.
    pub const NB_COMPUTER_NAME: Self = Self(1);
    /// NetBIOS name of its domain.
    pub const NB_DOMAIN_NAME: Self = Self(2);
    /// DNS name of the server.
    pub const DNS_COMPUTER_NAME: Self = Self(3);
    /// DNS name of its domain.
    pub const DNS_DOMAIN_NAME: Self = Self(4);
    /// DNS name of the forest.
    pub const DNS_TREE_NAME: Self = Self(5);
    /// [`MIC_PRESENT`], [`TARGET_UNVERIFIED`] and others.
    pub const FLAGS: Self = Self(6);
    /// The server's time.
    pub const TIMESTAMP: Self = Self(7);
    /// Data about the client's machine.
    pub const SINGLE_HOST: Self = Self(8);
    /// The service principal name that the client wants to reach.
    pub const TARGET_NAME: Self = Self(9);
    /// Hash of the channel's bindings.
    pub const CHANNEL_BINDINGS: Self = Self(10);
}

/// In [`AvId::FLAGS`]: the last message has a MIC.
pub const MIC_PRESENT: u32 = 2;

/// In [`AvId::FLAGS`]: the client has the target's name from an untrusted source.
pub const TARGET_UNVERIFIED: u32 = 4;

/// A list that was received and is in order.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    list: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// Checks that a list is whole: each value inside, at most 64 pairs, no kind twice, an end. Bytes after the end are
    /// left alone.
    ///
    /// # Errors
    /// [`Denied`] if it is not.
    pub fn parse(list: &'a [u8]) -> Result<Self, Denied> {
        let mut seen: Vec<AvId> = Vec::new();
        let mut rest = list;
        loop {
            let (id, _, after) = first(rest).ok_or_else(|| malformed("a pair is cut off"))?;
            if id == AvId::EOL {
                return Ok(Self { list });
            }
            if seen.contains(&id) || seen.len() >= MAX_PAIRS {
                return Err(malformed("a pair is there twice, or there are too many"));
            }
            seen.push(id);
            rest = after;
        }
    }

    /// The pairs in order, without the end.
    pub fn iter(self) -> impl Iterator<Item = (AvId, &'a [u8])> {
        let mut rest = self.list;
        std::iter::from_fn(move || {
            let (id, value, after) = first(rest)?;
            rest = after;
            (id != AvId::EOL).then_some((id, value))
        })
    }

    /// The value of a kind.
    #[must_use]
    pub fn value(self, id: AvId) -> Option<&'a [u8]> {
        self.iter().find(|pair| pair.0 == id).map(|pair| pair.1)
    }

    /// The value of a kind as text.
    #[must_use]
    pub fn text(self, id: AvId) -> Option<String> {
        self.value(id)
            .map(|value| decode(value).unwrap_or_default())
    }

    /// The flags; 0 if there are none.
    #[must_use]
    pub fn flags(self) -> u32 {
        let value = self.value(AvId::FLAGS);
        value
            .and_then(|value| value.try_into().ok())
            .map_or(0, u32::from_le_bytes)
    }

    /// The time, if it is one.
    #[must_use]
    pub fn timestamp(self) -> Option<u64> {
        let value = self.value(AvId::TIMESTAMP)?;
        value.try_into().ok().map(u64::from_le_bytes)
    }
}

/// The first pair of a list, and what follows it.
fn first(list: &[u8]) -> Option<(AvId, &[u8], &[u8])> {
    let (id, rest) = list.split_first_chunk::<2>()?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    Some((AvId(u16::from_le_bytes(*id)), value, rest))
}

fn malformed(what: &str) -> Denied {
    Denied::package(format!("target information: {what}"))
}

/// A list that is being written.
#[derive(Clone, Debug, Default)]
pub struct Builder(Vec<u8>);

impl Builder {
    /// Adds a pair. A value longer than a pair can hold is cut.
    pub fn push(&mut self, id: AvId, value: &[u8]) {
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        let value = value.get(..usize::from(len)).unwrap_or(value);
        self.0.extend_from_slice(&id.0.to_le_bytes());
        self.0.extend_from_slice(&len.to_le_bytes());
        self.0.extend_from_slice(value);
    }

    /// Adds a text, unless it is empty.
    pub fn text(&mut self, id: AvId, text: &str) {
        if !text.is_empty() {
            self.push(id, &encode(text));
        }
    }

    /// The list with its end.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.push(AvId::EOL, &[]);
        self.0
    }
}

/// Text as the messages carry it: UTF-16, little-endian, no terminator.
#[must_use]
pub fn encode(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The text in these bytes; `None` if they are not UTF-16.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<String> {
    let (units, rest) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| rest.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// The pairs of the challenge in MS-NLMP section 4.2.4.3.
    const LIST: &[u8] = b"\x02\0\x0c\0D\0o\0m\0a\0i\0n\0\x01\0\x0c\0S\0e\0r\0v\0e\0r\0\0\0\0\0";

    #[test]
    fn the_list_of_the_specification_is_read_and_written() {
        let pairs = Pairs::parse(LIST).unwrap();
        assert_eq!(pairs.text(AvId::NB_DOMAIN_NAME).as_deref(), Some("Domain"));
        assert_eq!(
            pairs.text(AvId::NB_COMPUTER_NAME).as_deref(),
            Some("Server")
        );
        assert_eq!(pairs.flags(), 0);
        assert_eq!(pairs.timestamp(), None);
        let mut list = Builder::default();
        list.text(AvId::NB_DOMAIN_NAME, "Domain");
        list.text(AvId::DNS_DOMAIN_NAME, "");
        list.text(AvId::NB_COMPUTER_NAME, "Server");
        assert_eq!(list.finish(), LIST);
    }

    #[test]
    fn every_truncation_of_a_list_is_refused() {
        for len in 0..LIST.len() {
            Pairs::parse(&LIST[..len]).unwrap_err();
        }
    }

    #[test]
    fn bytes_after_the_end_are_left_alone() {
        let mut longer = LIST.to_vec();
        longer.extend([0; 4]);
        assert_eq!(Pairs::parse(&longer).unwrap().iter().count(), 2);
    }

    #[test]
    fn a_kind_that_is_there_twice_is_refused() {
        Pairs::parse(b"\x06\0\x04\0\0\0\0\0\x06\0\x04\0\x02\0\0\0\0\0\0\0").unwrap_err();
    }

    #[test]
    fn a_list_of_very_many_pairs_is_refused() {
        let mut list = Builder::default();
        for id in 100..200 {
            list.push(AvId(id), b"");
        }
        Pairs::parse(&list.finish()).unwrap_err();
    }

    #[test]
    fn half_a_unit_and_half_a_pair_of_surrogates_are_no_text() {
        assert_eq!(decode(b"a\0b"), None);
        assert_eq!(decode(&[0x00, 0xd8]), None);
        assert_eq!(decode(&encode("Łódź 🦀")).as_deref(), Some("Łódź 🦀"));
    }
}
