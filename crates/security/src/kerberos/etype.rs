//! Encryption with Kerberos keys, as far as the messages of an exchange need it: AES with SHA-1 and with SHA-2, and RC4.
//!
//! Read first: RFC 3961 sections 5.1 (derived keys, n-fold) and 5.3, RFC 3962 sections 5 and 6 (AES, cipher text stealing),
//! RFC 8009 sections 3 and 5 (SHA-2: derived keys, codes over what is encrypted), RFC 4757 section 5 (RC4). Messages of calls
//! are protected by the library; here is what it does not tell. Other kinds of keys open nothing.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::ntlm::keys::{hmac_md5, rc4};
use crate::secret::Key;
use rc4::StreamCipher;

/// What a key encrypts, for which it makes a key of its own (RFC 4120 section 7.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage(pub(super) u32);

impl Usage {
    /// The part of a ticket that its service reads.
    pub(super) const TICKET: Self = Self(2);
    /// The authenticator of an `AP-REQ`.
    pub(super) const AUTHENTICATOR: Self = Self(11);
    /// The encrypted part of an `AP-REP`.
    pub(super) const AP_REP: Self = Self(12);
}

/// `aes128-cts-hmac-sha1-96`.
const AES128: i32 = 17;
/// `aes256-cts-hmac-sha1-96`.
const AES256: i32 = 18;
/// `aes128-cts-hmac-sha256-128`.
const AES128_SHA2: i32 = 19;
/// `aes256-cts-hmac-sha384-192`.
const AES256_SHA2: i32 = 20;
/// `rc4-hmac`.
const RC4: i32 = 23;

/// Bytes of a cipher's block, and of what stands before each message.
const BLOCK: usize = 16;
/// Bytes of a code with AES and SHA-1.
const CODE: usize = 12;
/// Bytes of a code, and of its key, with AES of 128 bits and SHA-2.
const CODE_128_SHA2: usize = 16;
/// Bytes of a code, and of its key, with AES of 256 bits and SHA-2.
const CODE_256_SHA2: usize = 24;
/// Bytes of a code with RC4.
const RC4_CODE: usize = 16;

/// A key and what it is for.
#[derive(Clone)]
pub(super) struct SessionKey {
    etype: i32,
    bytes: Zeroizing<Vec<u8>>,
}

impl SessionKey {
    /// A key of this kind (RFC 3961 section 8).
    pub(super) fn new(etype: i32, bytes: &[u8]) -> Self {
        let bytes = Zeroizing::new(bytes.to_vec());
        Self { etype, bytes }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn etype(&self) -> i32 {
        self.etype
    }

    /// Bytes that stand before a message and are encrypted with it.
    pub(super) fn confounder(&self) -> usize {
        match self.etype {
            RC4 => 8,
            _ => BLOCK,
        }
    }

    /// What was encrypted: a confounder and a message. Nothing if it was not encrypted with this key for this usage.
    pub(super) fn open(&self, usage: Usage, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (opened, code, expected) = match self.etype {
            RC4 => {
                let (code, data) = sealed.split_at_checked(RC4_CODE)?;
                let base = self.rc4_base(usage)?;
                let mut opened = Zeroizing::new(data.to_vec());
                rc4(&Key::new(hmac_md5(&base, &[code]))).apply_keystream(&mut opened);
                let expected = hmac_md5(&base, &[&opened]).to_vec();
                (opened, code, expected)
            }
            _ => {
                let at = sealed.len().checked_sub(self.code_len())?;
                let (data, code) = sealed.split_at_checked(at)?;
                let opened = Zeroizing::new(self.aes(usage)?.open(data)?);
                let expected = self.code(usage, &opened, data)?;
                (opened, code, expected)
            }
        };
        bool::from(expected.ct_eq(code)).then_some(opened)
    }

    /// Encrypts a confounder and a message.
    pub(super) fn seal(&self, usage: Usage, message: &[u8]) -> Option<Vec<u8>> {
        if self.etype == RC4 {
            let base = self.rc4_base(usage)?;
            let code = hmac_md5(&base, &[message]);
            let mut sealed = message.to_vec();
            rc4(&Key::new(hmac_md5(&base, &[&code]))).apply_keystream(&mut sealed);
            return Some([&code[..], &sealed].concat());
        }
        let sealed = self.aes(usage)?.seal(message)?;
        let code = self.code(usage, message, &sealed)?;
        Some([sealed, code].concat())
    }

    /// AES: bytes of a code.
    fn code_len(&self) -> usize {
        match self.etype {
            AES128_SHA2 => CODE_128_SHA2,
            AES256_SHA2 => CODE_256_SHA2,
            _ => CODE,
        }
    }

    /// RC4: the key of a usage.
    fn rc4_base(&self, usage: Usage) -> Option<Key> {
        let key = <[u8; 16]>::try_from(self.bytes.as_slice()).ok()?;
        Some(Key::new(hmac_md5(
            &Key::new(key),
            &[&usage.0.to_le_bytes()],
        )))
    }

    /// AES: the cipher of a usage.
    fn aes(&self, usage: Usage) -> Option<Aes> {
        let key = match self.etype {
            AES128_SHA2 | AES256_SHA2 => self.derived_sha2(usage, 0xaa, self.bytes.len())?,
            _ => self.derived(usage, 0xaa)?,
        };
        Aes::new(self.etype, &key)
    }

    /// AES: the code of a message. With SHA-1 it is over what stands before encryption, with SHA-2 over the initial vector
    /// and what came of it.
    fn code(&self, usage: Usage, message: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let len = self.code_len();
        let code = match self.etype {
            AES128_SHA2 | AES256_SHA2 => {
                let key = self.derived_sha2(usage, 0x55, len)?;
                hmac_sha2(self.etype, &key, &[&[0; BLOCK], sealed])?
            }
            _ => {
                let key = self.derived(usage, 0x55)?;
                let mut hmac = Hmac::<Sha1>::new_from_slice(&key).ok()?;
                hmac.update(message);
                hmac.finalize().into_bytes().to_vec()
            }
        };
        code.get(..len).map(<[u8]>::to_vec)
    }

    /// A derived key of this many bytes with SHA-2 (`KDF-HMAC-SHA2`), purposes as for [`derived`](Self::derived): a counter,
    /// the usage and the purpose, a zero, and the key's length in bits.
    fn derived_sha2(&self, usage: Usage, purpose: u8, len: usize) -> Option<Zeroizing<Vec<u8>>> {
        let bits = u32::try_from(len).ok()?.checked_mul(8)?.to_be_bytes();
        let one = 1_u32.to_be_bytes();
        let (usage, purpose) = (usage.0.to_be_bytes(), [purpose]);
        let label: [&[u8]; 5] = [&one, &usage, &purpose, &[0], &bits];
        let mut key = Zeroizing::new(hmac_sha2(self.etype, &self.bytes, &label)?);
        (key.len() >= len).then(|| key.truncate(len))?;
        Some(key)
    }

    /// A derived key with SHA-1 (`DK`): for encryption with 0xaa, for codes with 0x55.
    fn derived(&self, usage: Usage, purpose: u8) -> Option<Zeroizing<Vec<u8>>> {
        let base = Aes::new(self.etype, &self.bytes)?;
        let mut constant = usage.0.to_be_bytes().to_vec();
        constant.push(purpose);
        let mut block = <[u8; BLOCK]>::try_from(n_fold(&constant, BLOCK).as_slice()).ok()?;
        let mut key = Zeroizing::new(Vec::with_capacity(self.bytes.len()));
        while key.len() < self.bytes.len() {
            base.encrypt(&mut block);
            key.extend_from_slice(&block);
        }
        key.truncate(self.bytes.len());
        Some(key)
    }
}

/// The code of SHA-2 that goes with a kind of key, whole.
fn hmac_sha2(etype: i32, key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    match etype {
        AES128_SHA2 => {
            let mut hmac = Hmac::<Sha256>::new_from_slice(key).ok()?;
            parts.iter().for_each(|part| hmac.update(part));
            Some(hmac.finalize().into_bytes().to_vec())
        }
        AES256_SHA2 => {
            let mut hmac = Hmac::<Sha384>::new_from_slice(key).ok()?;
            parts.iter().for_each(|part| hmac.update(part));
            Some(hmac.finalize().into_bytes().to_vec())
        }
        _ => None,
    }
}

/// AES in cipher block chaining with stolen cipher text, from an initial vector of zeros.
enum Aes {
    Short(Box<Aes128>),
    Long(Box<Aes256>),
}

impl Aes {
    fn new(etype: i32, key: &[u8]) -> Option<Self> {
        match etype {
            AES128 | AES128_SHA2 => Aes128::new_from_slice(key)
                .ok()
                .map(Box::new)
                .map(Self::Short),
            AES256 | AES256_SHA2 => Aes256::new_from_slice(key)
                .ok()
                .map(Box::new)
                .map(Self::Long),
            _ => None,
        }
    }

    fn encrypt(&self, block: &mut [u8; BLOCK]) {
        let block: &mut Array<u8, _> = block.into();
        match self {
            Self::Short(aes) => aes.encrypt_block(block),
            Self::Long(aes) => aes.encrypt_block(block),
        }
    }

    fn decrypt(&self, block: &mut [u8; BLOCK]) {
        let block: &mut Array<u8, _> = block.into();
        match self {
            Self::Short(aes) => aes.decrypt_block(block),
            Self::Long(aes) => aes.decrypt_block(block),
        }
    }

    /// The last two blocks change places, and what is too much of the last one is left out.
    fn seal(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut blocks = blocks(message)?;
        let mut before = [0; BLOCK];
        for block in &mut blocks {
            xor(block, &before);
            self.encrypt(block);
            before = *block;
        }
        if let [.., next_to_last, last] = blocks.as_mut_slice() {
            std::mem::swap(next_to_last, last);
        }
        let mut sealed = blocks.concat();
        sealed.truncate(message.len());
        Some(sealed)
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut blocks = blocks(sealed)?;
        let whole = sealed.chunks(BLOCK).last()?.len();
        if let [.., next_to_last, last] = blocks.as_mut_slice() {
            // What was left out of the last one stands at the end of the other's plain text.
            let mut stolen = *next_to_last;
            self.decrypt(&mut stolen);
            for (to, from) in last.iter_mut().zip(stolen).skip(whole) {
                *to = from;
            }
            std::mem::swap(next_to_last, last);
        }
        let mut before = [0; BLOCK];
        for block in &mut blocks {
            let sealed = *block;
            self.decrypt(block);
            xor(block, &before);
            before = sealed;
        }
        let mut message = blocks.concat();
        message.truncate(sealed.len());
        Some(message)
    }
}

/// Blocks, the last one filled with zeros; nothing if there is not one whole block.
fn blocks(bytes: &[u8]) -> Option<Vec<[u8; BLOCK]>> {
    let block = |chunk: &[u8]| {
        let mut block = [0; BLOCK];
        block
            .iter_mut()
            .zip(chunk)
            .for_each(|(to, from)| *to = *from);
        block
    };
    (bytes.len() >= BLOCK).then(|| bytes.chunks(BLOCK).map(block).collect())
}

fn xor(block: &mut [u8; BLOCK], other: &[u8; BLOCK]) {
    block
        .iter_mut()
        .zip(other)
        .for_each(|(to, from)| *to ^= from);
}

/// Spreads bytes over another length: repeated, each time turned by 13 bits more, and added up with the carry going round.
fn n_fold(bytes: &[u8], len: usize) -> Vec<u8> {
    let bits = bytes.len().saturating_mul(8);
    let bit = |at: usize| {
        let byte = bytes.get(at.wrapping_div(8)).copied().unwrap_or_default();
        (byte >> (7_usize.saturating_sub(at % 8))) & 1
    };
    // Byte `at` of the endless repetition.
    let byte_at = |at: usize| {
        let (turn, within) = (at.checked_div(bytes.len()), at.checked_rem(bytes.len()));
        let (turn, within) = (turn.unwrap_or_default(), within.unwrap_or_default());
        let shift = turn
            .saturating_mul(13)
            .checked_rem(bits)
            .unwrap_or_default();
        (0..8).fold(0_u8, |byte, one: usize| {
            let place = within.saturating_mul(8).saturating_add(one);
            let from = place.saturating_add(bits).saturating_sub(shift);
            (byte << 1) | bit(from.checked_rem(bits).unwrap_or_default())
        })
    };
    let turns = least_common_multiple(bytes.len(), len).checked_div(len);
    let mut sum = vec![0_u8; len];
    for turn in 0..turns.unwrap_or_default() {
        let mut carry = 0_u16;
        for (at, place) in sum.iter_mut().enumerate().rev() {
            let from = turn.saturating_mul(len).saturating_add(at);
            let total = u16::from(*place)
                .wrapping_add(u16::from(byte_at(from)))
                .wrapping_add(carry);
            let [high, low] = total.to_be_bytes();
            (*place, carry) = (low, u16::from(high));
        }
        for place in sum.iter_mut().rev() {
            let [high, low] = u16::from(*place).wrapping_add(carry).to_be_bytes();
            (*place, carry) = (low, u16::from(high));
        }
    }
    sum
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x.checked_rem(y).unwrap_or_default());
    }
    a.checked_div(x).unwrap_or_default().saturating_mul(b)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
        digits
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    }

    /// RFC 3961 appendix A.1.
    #[test]
    fn folding_gives_what_the_standard_lists() {
        for (text, len, folded) in [
            ("012345", 8, "be072631276b1955"),
            ("password", 7, "78a07b6caf85fa"),
            ("kerberos", 8, "6b65726265726f73"),
            ("kerberos", 16, "6b65726265726f737b9b5b2b93132b93"),
        ] {
            assert_eq!(n_fold(text.as_bytes(), len), hex(folded), "{text}");
        }
    }

    /// RFC 3962 appendix B.
    #[test]
    fn stolen_cipher_text_is_as_the_standard_lists_it() {
        let aes = Aes::new(AES128, b"chicken teriyaki").unwrap();
        for (text, sealed) in [
            ("I would like the ", "c6353568f2bf8cb4d8a580362da7ff7f97"),
            (
                "I would like the General Gau's ",
                "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5",
            ),
            (
                "I would like the General Gau's C",
                "39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584",
            ),
        ] {
            assert_eq!(aes.seal(text.as_bytes()).unwrap(), hex(sealed));
            assert_eq!(aes.open(&hex(sealed)).unwrap(), text.as_bytes());
        }
        assert!(aes.seal(b"too short").is_none());
    }

    /// RFC 8009 appendix A: key usage 2, a confounder before each message.
    #[test]
    fn sha_2_derives_keys_and_codes_as_the_standard_lists_them() {
        let short = SessionKey::new(AES128_SHA2, &hex("3705d96080c17728a0e800eab6e0d23c"));
        let derived = |key: &SessionKey, purpose, len| {
            key.derived_sha2(Usage::TICKET, purpose, len)
                .unwrap()
                .to_vec()
        };
        assert_eq!(
            derived(&short, 0xaa, 16),
            hex("9b197dd1e8c5609d6e67c3e37c62c72e")
        );
        assert_eq!(
            derived(&short, 0x55, 16),
            hex("9fda0e56ab2d85e1569a688696c26a6c")
        );
        let long = "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52";
        let long = SessionKey::new(AES256_SHA2, &hex(long));
        assert_eq!(
            derived(&long, 0xaa, 32),
            hex("56ab22bee63d82d7bc5227f6773f8ea7a5eb1c825160c38312980c442e5c7e49")
        );
        assert_eq!(
            derived(&long, 0x55, 24),
            hex("69b16514e3cd8e56b82010d5c73012b622c4d00ffc23ed1f")
        );
        for (key, confounder, text, sealed) in [
            (
                &short,
                "7e5895eaf2672435bad817f545a37148",
                "",
                "ef85fb890bb8472f4dab20394dca781dad877eda39d50c870c0d5a0a8e48c718",
            ),
            (
                &short,
                "7bca285e2fd4130fb55b1a5c83bc5b24",
                "000102030405",
                "84d7f30754ed987bab0bf3506beb09cfb55402cef7e6877ce99e247e52d16ed4421dfdf8976c",
            ),
            (
                &short,
                "56ab21713ff62c0a1457200f6fa9948f",
                "000102030405060708090a0b0c0d0e0f",
                "3517d640f50ddc8ad3628722b3569d2ae07493fa8263254080ea65c1008e8fc2
                 95fb4852e7d83e1e7c48c37eebe6b0d3",
            ),
            (
                &long,
                "f764e9fa15c276478b2c7d0c4e5f58e4",
                "",
                "41f53fa5bfe7026d91faf9be959195a058707273a96a40f0a01960621ac612748b9bbfbe7eb4ce3c",
            ),
        ] {
            let message = [hex(confounder), hex(text)].concat();
            assert_eq!(key.seal(Usage::TICKET, &message).unwrap(), hex(sealed));
            assert_eq!(*key.open(Usage::TICKET, &hex(sealed)).unwrap(), message);
        }
    }

    #[test]
    fn what_was_sealed_is_opened_by_the_same_key_for_the_same_usage() {
        for (etype, len) in [
            (AES128, 16),
            (AES256, 32),
            (AES128_SHA2, 16),
            (AES256_SHA2, 32),
            (RC4, 16),
        ] {
            let key = SessionKey::new(etype, &vec![7; len]);
            let message: Vec<u8> = (0..77).collect();
            let sealed = key.seal(Usage::TICKET, &message).unwrap();
            assert_eq!(*key.open(Usage::TICKET, &sealed).unwrap(), message);
            assert!(key.open(Usage::AP_REP, &sealed).is_none());
            let other = SessionKey::new(etype, &vec![8; len]);
            assert!(other.open(Usage::TICKET, &sealed).is_none());
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert!(key.open(Usage::TICKET, &changed).is_none(), "{etype} {at}");
                assert!(key.open(Usage::TICKET, &sealed[..at]).is_none());
            }
        }
        let unknown = SessionKey::new(26, &[7; 32]);
        assert!(unknown.seal(Usage::TICKET, &[0; 32]).is_none());
        assert!(unknown.open(Usage::TICKET, &[0; 64]).is_none());
    }
}
