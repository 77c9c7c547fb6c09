//! Signed tokens: JSON Web Tokens of one issuer, checked with its public keys.
//!
//! Read first: RFC 7519 section 4.1 (claims), RFC 7517 (key sets), RFC 8725 (what goes wrong). A token says nothing about how it is to be
//! checked: its algorithm must be one of the key's, keys with which anybody who can check could also sign are not taken, and
//! issuer, audience and expiry must be there. The file of keys is read when the proxy loads its configuration.

use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use crate::config::listen::Bearer;
use crate::identity::{AuthKind, Identity};

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// Longest name, and longest name of a group, that is taken out of a token, in bytes.
const MAX_NAME: usize = 256;

/// Most groups that are taken out of a token.
const MAX_GROUPS: usize = 1024;

/// Why a file of keys is not used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}")]
pub struct Error {
    path: PathBuf,
    what: String,
}

/// The keys of an issuer, and what its tokens must say.
pub struct Tokens {
    keys: Vec<(Option<String>, Vec<Algorithm>, DecodingKey)>,
    settings: Bearer,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Tokens({}, {} keys)",
            self.settings.issuer,
            self.keys.len()
        )
    }
}

impl Tokens {
    /// Reads the keys that a configuration names.
    ///
    /// # Errors
    /// [`Error`]: they cannot be read, or none of them checks signatures.
    pub fn load(settings: &Bearer) -> Result<Self, Error> {
        let path: &Path = &settings.keys;
        let wrong = |what: String| Error {
            path: path.to_owned(),
            what,
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let set: JwkSet = serde_json::from_str(&text)
            .map_err(|error| wrong(format!("no JSON Web Key Set: {error}")))?;
        let keys: Vec<_> = set.keys.iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(wrong(
                "no public key in it that signatures are checked with".to_owned(),
            ));
        }
        let settings = settings.clone();
        Ok(Self { keys, settings })
    }

    /// Who a token is for.
    ///
    /// # Errors
    /// Why it is not believed, for a log.
    pub fn verify(&self, token: &str) -> Result<Identity, String> {
        if token.len() > MAX_TOKEN {
            return Err(format!("token of {} bytes, limit {MAX_TOKEN}", token.len()));
        }
        let head = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
        let named = |key: &&(Option<String>, Vec<Algorithm>, DecodingKey)| {
            let (id, algorithms, _) = key;
            let same = head.kid.is_none() || id.is_none() || *id == head.kid;
            same && algorithms.contains(&head.alg)
        };
        let mut last = "no key of the issuer's is for it".to_owned();
        for (_, _, key) in self.keys.iter().filter(named) {
            match jsonwebtoken::decode::<Map<String, Value>>(token, key, &self.validation(head.alg))
            {
                Ok(data) => return self.identity(&data.claims),
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.validate_nbf = true;
        validation.leeway = self.settings.skew.as_secs();
        validation
    }

    fn identity(&self, claims: &Map<String, Value>) -> Result<Identity, String> {
        let settings = &self.settings;
        let name = claims.get(&settings.name_claim).and_then(Value::as_str);
        let name = name.filter(|name| is_name(name));
        let name = name.ok_or_else(|| format!("no name in the claim {}", settings.name_claim))?;
        let mut identity = Identity::new(AuthKind::Bearer, name.to_owned(), String::new());
        identity.issuer.clone_from(&settings.issuer);
        identity.groups = match claims.get(&settings.groups_claim) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        };
        identity.groups.retain(|group| is_name(group));
        match identity.groups.len() > MAX_GROUPS {
            true => Err(format!("more than {MAX_GROUPS} groups")),
            false => Ok(identity),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && !text.contains(char::is_control)
}

/// A key with the algorithms that it is for.
fn usable(key: &Jwk) -> Option<(Option<String>, Vec<Algorithm>, DecodingKey)> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let all = match &key.algorithm {
        AlgorithmParameters::RSA(_) => vec![RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(_) => vec![ES256, ES384],
        AlgorithmParameters::OctetKeyPair(_) => vec![EdDSA],
        _ => return None,
    };
    if key
        .common
        .public_key_use
        .as_ref()
        .is_some_and(|of| *of != jsonwebtoken::jwk::PublicKeyUse::Signature)
    {
        return None;
    }
    let said = key.common.key_algorithm.map(|said| said.to_string());
    let fits = |one: &Algorithm| said.as_ref().is_none_or(|said| *said == format!("{one:?}"));
    let algorithms: Vec<_> = all.into_iter().filter(fits).collect();
    let decoding = DecodingKey::from_jwk(key).ok()?;
    Some((key.common.key_id.clone(), algorithms, decoding))
        .filter(|(_, algorithms, _)| !algorithms.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    /// The issuer's key (P-256) in both forms: to sign with, and as a set.
    fn issuer(id: &str) -> (EncodingKey, Value) {
        let key = rcgen::KeyPair::generate().expect("a key");
        // An uncompressed point: 04, x, y.
        let point = key.public_key_raw();
        let part = |at: usize| URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id, "x": part(1), "y": part(33) });
        (EncodingKey::from_ec_der(&key.serialize_der()), jwk)
    }

    fn tokens(keys: &[Value]) -> Result<(tempfile::TempDir, Tokens), Error> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.json");
        std::fs::write(&path, json!({ "keys": keys }).to_string()).expect("written");
        let text = format!("keys = {path:?}\nissuer = \"https://id.test\"\naudience = \"rpc\"\n");
        let settings: Bearer = toml::from_str(&text).expect("a configuration");
        Ok((folder, Tokens::load(&settings)?))
    }

    fn now() -> u64 {
        jsonwebtoken::get_current_timestamp()
    }

    fn claims() -> Value {
        json!({ "iss": "https://id.test", "aud": "rpc", "exp": now() + 600, "sub": "bob", "groups": ["staff", "", "ops"] })
    }

    fn sign(key: &EncodingKey, id: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = id.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, key).expect("signed")
    }

    #[test]
    fn a_token_of_the_issuer_says_who_and_in_which_groups() {
        let ((key, jwk), (_, other)) = (issuer("1"), issuer("2"));
        let (_folder, tokens) = tokens(&[other, jwk]).expect("keys");
        for id in [Some("1"), None] {
            let identity = tokens.verify(&sign(&key, id, &claims())).expect("believed");
            assert_eq!(identity.name, "bob");
            assert_eq!(identity.groups, ["staff", "ops"]);
            assert_eq!(identity.issuer, "https://id.test");
            assert_eq!(identity.kind, AuthKind::Bearer);
        }
    }

    #[test]
    fn a_token_with_one_thing_wrong_is_not_believed() {
        let ((key, jwk), (strange, _)) = (issuer("1"), issuer("1"));
        let (_folder, tokens) = tokens(&[jwk]).expect("keys");
        let changes: [(&str, Value); 8] = [
            ("iss", json!("https://other.test")),
            ("iss", Value::Null),
            ("aud", json!("web")),
            ("aud", Value::Null),
            ("exp", json!(now() - 61)),
            ("exp", Value::Null),
            ("nbf", json!(now() + 120)),
            ("sub", json!("b\u{0}b")),
        ];
        for (claim, value) in changes {
            let mut changed = claims();
            match value {
                Value::Null => drop(changed.as_object_mut().expect("an object").remove(claim)),
                value => changed[claim] = value,
            }
            assert!(
                tokens.verify(&sign(&key, None, &changed)).is_err(),
                "{claim}: {changed}"
            );
        }
        assert!(
            tokens.verify(&sign(&strange, None, &claims())).is_err(),
            "another key"
        );
        assert!(
            tokens.verify(&sign(&key, Some("9"), &claims())).is_err(),
            "another name of the key"
        );
        let good = sign(&key, None, &claims());
        let (head, rest) = good.split_once('.').expect("three parts");
        let (body, signature) = rest.split_once('.').expect("three parts");
        let none = URL_SAFE_NO_PAD.encode(br#"{"alg":"none"}"#);
        let secret = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256"}"#);
        for wrong in [
            format!("{none}.{body}."),
            format!("{none}.{body}.{signature}"),
            format!("{secret}.{body}.{signature}"),
            format!("{head}.{body}."),
            format!("{head}.{body}x.{signature}"),
            "a".repeat(MAX_TOKEN + 1),
            String::new(),
        ] {
            assert!(tokens.verify(&wrong).is_err(), "{wrong:.80}");
        }
        let mut skewed = claims();
        skewed["exp"] = json!(now() - 30);
        assert!(
            tokens.verify(&sign(&key, None, &skewed)).is_ok(),
            "within the difference of clocks"
        );
    }

    #[test]
    fn keys_that_could_sign_too_are_no_keys_to_check_with() {
        let shared = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 32]), "alg": "HS256" });
        assert!(tokens(&[shared]).is_err());
        let (_, mut other_use) = issuer("1");
        other_use["use"] = json!("enc");
        assert!(tokens(&[other_use]).is_err());
    }
}
