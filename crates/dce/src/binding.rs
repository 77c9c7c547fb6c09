//! String bindings: a way to an interface as people write it.
//!
//! Read first: C706 section 3.1 (string bindings) and MS-RPCE section 2.1 (protocol sequences and their endpoints).
//! The form is `[object@]protseq:[address][[endpoint][,option…]]`, where `\` takes the meaning from a character that
//! has one. Microsoft's options are `name=value`, Samba's are words; both are kept in their order. An IPv6 address may
//! stand in brackets of its own. This file resolves no names and knows no option's meaning.

use core::fmt;
use core::str::FromStr;

use farcall_wire::Uuid;

pub use crate::tower::Protseq;

/// Characters that mean something in a string binding.
const SPECIAL: [char; 7] = ['@', ':', '[', ']', ',', '=', '\\'];

/// Longest string binding that is read, in bytes.
pub const MAX_LEN: usize = 4096;

/// A way to an interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StringBinding {
    /// The object that calls name, if they name one.
    pub object: Option<Uuid>,
    /// How bytes travel.
    pub protseq: Protseq,
    /// The host, by name or address; empty for this one. An IPv6 address stands without brackets.
    pub address: String,
    /// A port or a name; empty if it is to be found out.
    pub endpoint: String,
    /// What stands behind the endpoint, in order.
    pub options: Vec<BindingOption>,
}

/// An option of a string binding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BindingOption {
    /// Its name; letters' case does not matter.
    pub name: String,
    /// Its value; `None` for an option that is a word.
    pub value: Option<String>,
}

/// Why a text is no string binding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindingError {
    /// It is longer than [`MAX_LEN`].
    TooLong,
    /// There is no `:` behind a protocol sequence.
    NoProtseq,
    /// The protocol sequence is not known.
    UnknownProtseq(String),
    /// What stands before `@` is no UUID.
    BadObject(String),
    /// A bracket has no partner.
    Unbalanced,
    /// Something stands behind the closing bracket.
    Trailing(String),
    /// The endpoint is no port number where the protocol has ports.
    BadPort(String),
    /// The endpoint is said twice: in front, and as an option.
    TwoEndpoints,
    /// An option without a name.
    NamelessOption,
}

impl fmt::Display for BindingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it has more than {MAX_LEN} bytes"),
            Self::NoProtseq => f.write_str("it has no protocol sequence in front of a ':'"),
            Self::UnknownProtseq(name) => write!(f, "protocol sequence '{name}' is not known"),
            Self::BadObject(text) => write!(f, "'{text}' before '@' is not a UUID"),
            Self::Unbalanced => f.write_str("a bracket has no partner"),
            Self::Trailing(text) => write!(f, "'{text}' stands behind the closing bracket"),
            Self::BadPort(text) => write!(f, "'{text}' is not a port up to 65535"),
            Self::TwoEndpoints => f.write_str("it names two endpoints"),
            Self::NamelessOption => f.write_str("an option has no name"),
        }
    }
}

impl std::error::Error for BindingError {}

impl StringBinding {
    /// A binding to `address` without an endpoint.
    #[must_use]
    pub fn new(protseq: Protseq, address: impl Into<String>) -> Self {
        Self {
            object: None,
            protseq,
            address: address.into(),
            endpoint: String::new(),
            options: Vec::new(),
        }
    }

    /// The same binding at this endpoint.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// The option with this name, whatever the letters' case: its value, empty for a word.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        let is_it = |option: &&BindingOption| option.name.eq_ignore_ascii_case(name);
        let option = self.options.iter().find(is_it)?;
        Some(option.value.as_deref().unwrap_or_default())
    }

    /// The endpoint as a port, if the protocol has ports and one is named.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        has_ports(self.protseq)
            .then(|| self.endpoint.parse().ok())
            .flatten()
    }
}

/// Whether endpoints of the protocol are ports.
fn has_ports(protseq: Protseq) -> bool {
    matches!(protseq, Protseq::Tcp | Protseq::Udp | Protseq::Http)
}

/// A character of a string binding, and whether it stands for itself alone.
#[derive(Clone, Copy)]
struct Char {
    char: char,
    escaped: bool,
}

impl Char {
    fn is(self, char: char) -> bool {
        !self.escaped && self.char == char
    }
}

/// The characters of a text, escapes resolved. A backslash before a character without a meaning stands for itself,
/// as in the names of pipes.
fn characters(text: &str) -> Vec<Char> {
    let mut all = Vec::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        let next = rest.next_if(|next| char == '\\' && SPECIAL.contains(next));
        all.push(Char {
            char: next.unwrap_or(char),
            escaped: next.is_some() || char == '\\',
        });
    }
    all
}

fn plain(chars: &[Char]) -> String {
    chars.iter().map(|c| c.char).collect()
}

/// What stands before and behind the first `char`.
fn split(chars: &[Char], char: char) -> Option<(&[Char], &[Char])> {
    let at = chars.iter().position(|c| c.is(char))?;
    let (before, from) = chars.split_at_checked(at)?;
    Some((before, from.split_first()?.1))
}

impl FromStr for StringBinding {
    type Err = BindingError;

    fn from_str(text: &str) -> Result<Self, BindingError> {
        if text.len() > MAX_LEN {
            return Err(BindingError::TooLong);
        }
        let chars = characters(text);
        let (object, rest) = object(&chars)?;
        let (protseq, rest) = split(rest, ':').ok_or(BindingError::NoProtseq)?;
        let name = plain(protseq);
        let protseq = Protseq::named(&name).ok_or(BindingError::UnknownProtseq(name))?;
        let (address, inside) = address(rest)?;
        let mut binding = Self {
            object,
            ..Self::new(protseq, address)
        };
        if let Some(inside) = inside {
            binding.fill(inside)?;
        }
        if has_ports(protseq) && !binding.endpoint.is_empty() && binding.port().is_none() {
            return Err(BindingError::BadPort(binding.endpoint));
        }
        Ok(binding)
    }
}

/// The object in front, if there is one.
fn object(chars: &[Char]) -> Result<(Option<Uuid>, &[Char]), BindingError> {
    // An `@` inside of the brackets belongs to an option's value.
    let head = split(chars, '[').map_or(chars, |(head, _)| head);
    if split(head, '@').is_none() {
        return Ok((None, chars));
    }
    let Some((object, rest)) = split(chars, '@') else {
        return Ok((None, chars));
    };
    let text = plain(object);
    match text.parse() {
        Ok(uuid) => Ok((Some(uuid), rest)),
        Err(_) => Err(BindingError::BadObject(text)),
    }
}

/// The address, and what stands in the brackets behind it.
fn address(chars: &[Char]) -> Result<(String, Option<&[Char]>), BindingError> {
    let Some((before, behind)) = split(chars, '[') else {
        return match chars.iter().any(|c| c.is(']')) {
            true => Err(BindingError::Unbalanced),
            false => Ok((plain(chars), None)),
        };
    };
    let (inside, rest) = split(behind, ']').ok_or(BindingError::Unbalanced)?;
    if before.is_empty() && is_ip6(inside) {
        return match (rest.first(), rest) {
            (None, _) => Ok((plain(inside), None)),
            (Some(next), [_, more @ ..]) if next.is('[') => {
                let (options, rest) = split(more, ']').ok_or(BindingError::Unbalanced)?;
                end(rest)?;
                Ok((plain(inside), Some(options)))
            }
            _ => Err(BindingError::Trailing(plain(rest))),
        };
    }
    end(rest)?;
    Ok((plain(before), Some(inside)))
}

/// Whether what stands in brackets is an address: colons, and nothing that only an option has.
fn is_ip6(inside: &[Char]) -> bool {
    let colons = inside.iter().filter(|c| c.is(':')).count();
    colons >= 2 && !inside.iter().any(|c| c.is(',') || c.is('='))
}

/// Whether an address is written in brackets: it has the colons of an IPv6 address, and nothing that brackets could
/// not hold.
fn is_bracketed(address: &str) -> bool {
    let colons = address.chars().filter(|c| *c == ':').count();
    colons >= 2 && !address.contains(|c| c != ':' && SPECIAL.contains(&c))
}

fn end(rest: &[Char]) -> Result<(), BindingError> {
    match rest {
        [] => Ok(()),
        _ => Err(BindingError::Trailing(plain(rest))),
    }
}

impl StringBinding {
    /// Takes endpoint and options from what stands in the brackets.
    fn fill(&mut self, inside: &[Char]) -> Result<(), BindingError> {
        for (at, part) in inside.split(|c| c.is(',')).enumerate() {
            match split(part, '=') {
                Some((name, value)) => self.say(plain(name), Some(plain(value)))?,
                None if at == 0 => self.endpoint = plain(part),
                None if part.is_empty() => return Err(BindingError::NamelessOption),
                None => self.say(plain(part), None)?,
            }
        }
        Ok(())
    }

    fn say(&mut self, name: String, value: Option<String>) -> Result<(), BindingError> {
        if name.is_empty() {
            return Err(BindingError::NamelessOption);
        }
        if name.eq_ignore_ascii_case("endpoint") {
            if !self.endpoint.is_empty() {
                return Err(BindingError::TwoEndpoints);
            }
            self.endpoint = value.unwrap_or_default();
            return Ok(());
        }
        self.options.push(BindingOption { name, value });
        Ok(())
    }
}

/// Text with a backslash before what would mean something. A backslash of its own is left alone where nothing that
/// means something follows.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mut rest = self.0.chars().peekable();
        while let Some(char) = rest.next() {
            let followed = rest.peek().is_none_or(|next| SPECIAL.contains(next));
            if SPECIAL.contains(&char) && (char != '\\' || followed) {
                f.write_char('\\')?;
            }
            f.write_char(char)?;
        }
        Ok(())
    }
}

impl fmt::Display for StringBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(object) = &self.object {
            write!(f, "{object}@")?;
        }
        match is_bracketed(&self.address) {
            true => write!(f, "{}:[{}]", self.protseq, self.address)?,
            false => write!(f, "{}:{}", self.protseq, Escaped(&self.address))?,
        }
        if self.endpoint.is_empty() && self.options.is_empty() {
            return Ok(());
        }
        write!(f, "[{}", Escaped(&self.endpoint))?;
        for option in &self.options {
            write!(f, ",{}", Escaped(&option.name))?;
            if let Some(value) = &option.value {
                write!(f, "={}", Escaped(value))?;
            }
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests;
