//! One-way functions of passwords, proofs, and the keys that are derived from them.
//!
//! Read first: MS-NLMP sections 3.3.2 (`NTOWFv2`, `ComputeResponse`), 3.4.5.2 (`SIGNKEY`), 3.4.5.3 (`SEALKEY`) and 6.

use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};
use rc4::{Rc4, StreamCipher};
use zeroize::Zeroizing;

use super::flags::Flags;
use super::target::encode;
use crate::secret::Key;

/// Which end a key belongs to: whose messages it protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client's messages.
    Client,
    /// The server's messages.
    Server,
}

/// The hash of a password that servers keep (`NTOWFv1`): MD4 of its UTF-16. It is as good as the password itself.
#[must_use]
pub fn nt_hash(password: &str) -> Key {
    let text = Zeroizing::new(encode(password));
    Key::new(Md4::digest(&*text).into())
}

/// `HMAC_MD5` over several pieces.
#[must_use]
pub fn hmac_md5(key: &Key, pieces: &[&[u8]]) -> [u8; 16] {
    let mut hmac = keyed(key);
    for piece in pieces {
        hmac.update(piece);
    }
    hmac.finalize().into_bytes().into()
}

/// HMAC ready with its key. A key shorter than a block is filled with zeros (RFC 2104 section 2), which is done here, so
/// that no length can be wrong.
pub(crate) fn keyed(key: &Key) -> Hmac<Md5> {
    let mut block = Zeroizing::new([0; 64]);
    if let Some(start) = block.first_chunk_mut() {
        *start = *key.as_bytes();
    }
    Hmac::new(&(*block).into())
}

/// RC4 with a key of 16 bytes. Its key schedule repeats the key, so twice the key is the same key.
pub(crate) fn rc4(key: &Key) -> Rc4 {
    let mut twice = Zeroizing::new([0; 32]);
    for (to, from) in twice.iter_mut().zip(key.as_bytes().iter().cycle()) {
        *to = *from;
    }
    Rc4::new(&(*twice).into())
}

/// `RC4K`: a key under a key, both ways.
#[must_use]
pub fn rc4k(key: &Key, data: &Key) -> Key {
    let mut bytes = *data.as_bytes();
    rc4(key).apply_keystream(&mut bytes);
    Key::new(bytes)
}

/// The key that answers for a user (`NTOWFv2`), from the password's hash and the names as the client wrote them.
#[must_use]
pub fn response_key(nt_hash: &Key, user: &str, domain: &str) -> Key {
    let user = encode(&upper_case(user));
    Key::new(hmac_md5(nt_hash, &[&user, &encode(domain)]))
}

/// Upper case as Windows makes it: letter for letter, so `ß` stays.
fn upper_case(text: &str) -> String {
    let one = |letter: char| {
        let mut upper = letter.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(single), None) => single,
            _ => letter,
        }
    };
    text.chars().map(one).collect()
}

/// `NTProofStr`: the proof over the server's challenge and the client's.
#[must_use]
pub fn nt_proof(response_key: &Key, server_challenge: &[u8; 8], client_challenge: &[u8]) -> Key {
    Key::new(hmac_md5(
        response_key,
        &[server_challenge, client_challenge],
    ))
}

/// `SessionBaseKey`, which in version 2 is also the key exchange key.
#[must_use]
pub fn session_base_key(response_key: &Key, nt_proof: &Key) -> Key {
    Key::new(hmac_md5(response_key, &[nt_proof.as_bytes()]))
}

/// `SIGNKEY` for extended session security.
#[must_use]
pub fn sign_key(session_key: &Key, end: End) -> Key {
    let magic: &[u8] = match end {
        End::Client => b"session key to client-to-server signing key magic constant\0",
        End::Server => b"session key to server-to-client signing key magic constant\0",
    };
    hashed(session_key.as_bytes(), magic)
}

/// `SEALKEY` for extended session security: from 16, 7 or 5 bytes of the session key, as was agreed.
#[must_use]
// req: nlmp-3.4.5.3
pub fn seal_key(flags: Flags, session_key: &Key, end: End) -> Key {
    let magic: &[u8] = match end {
        End::Client => b"session key to client-to-server sealing key magic constant\0",
        End::Server => b"session key to server-to-client sealing key magic constant\0",
    };
    let [a, b, c, d, e, f, g, ..] = *session_key.as_bytes();
    if flags.has(Flags::KEY_128) {
        hashed(session_key.as_bytes(), magic)
    } else if flags.has(Flags::KEY_56) {
        hashed(&[a, b, c, d, e, f, g], magic)
    } else {
        hashed(&[a, b, c, d, e], magic)
    }
}

fn hashed(key: &[u8], magic: &[u8]) -> Key {
    let mut hash = Md5::new();
    hash.update(key);
    hash.update(magic);
    Key::new(hash.finalize().into())
}

/// The MIC over the three messages, the last with zeros in its place.
#[must_use]
pub fn message_mic(session_key: &Key, messages: [&[u8]; 3]) -> Key {
    Key::new(hmac_md5(session_key, &messages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_are_raised_letter_for_letter() {
        assert_eq!(upper_case("straße é dž"), "STRAßE É DŽ");
    }

    /// MS-NLMP section 4.2.2.1.2.
    #[test]
    fn the_hash_of_the_specifications_password() {
        let expected = 0xa4f4_9c40_6510_bdca_b682_4ee7_c30f_d852_u128;
        assert_eq!(nt_hash("Password"), Key::new(expected.to_be_bytes()));
    }

    /// RFC 6229 section 2, key 0102…10 at offset 0.
    #[test]
    fn rc4_gives_the_key_stream_of_rfc_6229() {
        let key = Key::new(std::array::from_fn(|i| {
            u8::try_from(i).unwrap_or(0).wrapping_add(1)
        }));
        let stream = rc4k(&key, &Key::default());
        let expected = 0x9ac7_cc9a_609d_1ef7_b293_2899_cde4_1b97_u128;
        assert_eq!(stream, Key::new(expected.to_be_bytes()));
    }
}
