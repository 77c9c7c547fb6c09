//! What is read of a certificate: who it is of, and its name for channel bindings. Only verified ones come here.
//!
//! Read first: RFC 5280 section 4 (certificates), RFC 4514 (names as text), RFC 5929 section 4.1 (`tls-server-end-point`).

use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::asn1_rs::{Any, ToDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};

use super::fault::TlsError;
use crate::error::TlsFault;

/// Of whom a certificate is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Certificate {
    /// The subject, as RFC 4514 writes it.
    pub subject: String,
    /// The issuer, as RFC 4514 writes it.
    pub issuer: String,
    /// The subject's last common name; empty if it has none.
    pub common_name: String,
    /// The subject's organisational units, in their order.
    pub units: Vec<String>,
    /// Its DNS names.
    pub dns: Vec<String>,
    /// Its mail addresses.
    pub mail: Vec<String>,
    /// Its user principal names, such as `alice@example.com`.
    pub upn: Vec<String>,
    /// Its URIs.
    pub uri: Vec<String>,
    /// The SHA-256 hash of the whole, in hexadecimal.
    pub fingerprint: String,
    /// Its hash for channel bindings (RFC 5929 section 4.1), if its signature has one.
    pub end_point: Option<Vec<u8>>,
}

impl std::fmt::Display for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.subject)
    }
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// It cannot be understood.
    pub fn parse(der: &[u8]) -> Result<Self, TlsError> {
        let wrong = |_| TlsError::new(TlsFault::BadCertificate, "a certificate cannot be read");
        let (_, parsed) = X509Certificate::from_der(der).map_err(wrong)?;
        let common_name = parsed.subject().iter_common_name().last();
        let common_name = common_name.and_then(|name| name.as_str().ok());
        let units = parsed.subject().iter_organizational_unit();
        let units = units.filter_map(|name| name.as_str().ok());
        let mut read = Self {
            subject: rfc4514(parsed.subject()),
            issuer: rfc4514(parsed.issuer()),
            common_name: common_name.unwrap_or_default().to_owned(),
            units: units.map(str::to_owned).collect(),
            fingerprint: hex(&Sha256::digest(der)),
            end_point: hash_of(&parsed).map(|hash| hash(der)),
            ..Self::default()
        };
        if let Ok(Some(names)) = parsed.subject_alternative_name() {
            for name in &names.value.general_names {
                read.name(name);
            }
        }
        Ok(read)
    }

    fn name(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(text) => self.dns.push((*text).to_owned()),
            GeneralName::RFC822Name(text) => self.mail.push((*text).to_owned()),
            GeneralName::URI(text) => self.uri.push((*text).to_owned()),
            // The identifier of user principal names.
            GeneralName::OtherName(oid, value)
                if oid.to_id_string() == "1.3.6.1.4.1.311.20.2.3" =>
            {
                self.upn.extend(explicit_utf8(value).map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// A hash function.
type Hash = fn(&[u8]) -> Vec<u8>;

/// The hash of a certificate's signature, SHA-256 in place of older ones.
fn hash_of(certificate: &X509Certificate<'_>) -> Option<Hash> {
    // SHA-384 and SHA-512 (RFC 4055 section 2.1), as they stand in the parameters of RSASSA-PSS.
    const SHA384_ID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
    const SHA512_ID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
    let signature = &certificate.signature_algorithm;
    let oid = signature.algorithm.to_id_string();
    match oid.as_str() {
        // MD5, SHA-1, SHA-224 and SHA-256 with RSA; SHA-1 and SHA-256 with ECDSA.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.14"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(sha256),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(sha384),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(sha512),
        "1.2.840.113549.1.1.10" => {
            let parameters = signature.parameters.as_ref().map_or(&[][..], |it| it.data);
            let names = |id: &[u8]| parameters.windows(id.len()).any(|window| window == id);
            Some(match (names(SHA384_ID), names(SHA512_ID)) {
                (true, _) => sha384,
                (_, true) => sha512,
                _ => sha256,
            })
        }
        _ => None,
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn sha384(bytes: &[u8]) -> Vec<u8> {
    Sha384::digest(bytes).to_vec()
}

fn sha512(bytes: &[u8]) -> Vec<u8> {
    Sha512::digest(bytes).to_vec()
}

/// The text in `[0] EXPLICIT UTF8String`, of lengths below 128.
fn explicit_utf8(value: &[u8]) -> Option<&str> {
    match value {
        [0xa0, outer, 0x0c, inner, text @ ..]
            if *outer < 128
                && usize::from(*outer) == text.len() + 2
                && usize::from(*inner) == text.len() =>
        {
            std::str::from_utf8(text).ok()
        }
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value as it stands in the certificate: what is no text for us is written like that (RFC 4514 section 2.4), so
/// that two values are never one.
fn encoding(value: &Any<'_>) -> Vec<u8> {
    value.to_der_vec().unwrap_or_else(|_| value.data.to_vec())
}

/// A name as RFC 4514 section 2 writes it: the last part first.
fn rfc4514(name: &X509Name<'_>) -> String {
    let part = |rdn: &x509_parser::x509::RelativeDistinguishedName<'_>| {
        let pairs = rdn.iter().map(|pair| {
            let key = key_of(&pair.attr_type().to_id_string());
            match pair.as_str() {
                Ok(text) => format!("{key}={}", escaped(text)),
                Err(_) => format!("{key}=#{}", hex(&encoding(pair.attr_value()))),
            }
        });
        pairs.collect::<Vec<_>>().join("+")
    };
    let mut parts: Vec<String> = name.iter_rdn().map(part).collect();
    parts.reverse();
    parts.join(",")
}

/// The short names of RFC 4514 section 3; anything else by its numbers.
fn key_of(oid: &str) -> String {
    let short = match oid {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        other => other,
    };
    short.to_owned()
}

/// What stands in a name may not pass for its punctuation (RFC 4514 section 2.4).
fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (at, letter) in text.chars().enumerate() {
        let edge = (letter == ' ' && (at == 0 || at == last)) || (letter == '#' && at == 0);
        if letter.is_control() {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("\\{byte:02x}"));
            }
            continue;
        }
        if edge || "\"+,;<>\\".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two names of one attribute, `CN`, as BMPString (UCS-2): RFC 4514 section 2.4 writes what is no string as `#` and
    /// its encoding.
    #[test]
    fn names_in_letters_we_do_not_read_are_told_apart() {
        let named = |letter: u8| {
            let value = [0x1e, 0x02, 0x04, letter];
            let pair = [&[0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x03][..], &value].concat();
            let name = [&[0x30, 0x0d, 0x31, 0x0b][..], &pair].concat();
            rfc4514(&X509Name::from_der(&name).expect("a name").1)
        };
        assert_eq!(named(0x10), "CN=#1e020410");
        assert_eq!(named(0x11), "CN=#1e020411");
    }

    /// By hand: `[0]` of 14 bytes around a UTF8String of 12.
    #[test]
    fn a_user_principal_name_is_read() {
        assert_eq!(
            explicit_utf8(b"\xa0\x0e\x0c\x0cbob@dom.test"),
            Some("bob@dom.test")
        );
        assert_eq!(explicit_utf8(b"\xa0\x0e\x0c\x0bbob@dom.test"), None);
        assert_eq!(explicit_utf8(b""), None);
    }
}
