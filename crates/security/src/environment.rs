//! What an exchange takes from the machine: random bytes, the time, and the channel it runs inside.
//!
//! Read first: RFC 5929 and RFC 2744 section 3.11 for channel bindings. The functions are values, so that a test can
//! give an exchange the numbers of a specification's example.

use std::time::{SystemTime, UNIX_EPOCH};

use farcall_dce::security::Denied;
use md5::{Digest, Md5};

/// Seconds from 1601 to 1970.
const FROM_1601: u64 = 11_644_473_600;

/// Where random bytes and the time come from.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    /// Fills with random bytes fit for keys.
    pub random: fn(&mut [u8]) -> Result<(), Denied>,
    /// The time as `FILETIME`: units of 100 ns since 1601.
    pub filetime: fn() -> u64,
}

impl Environment {
    /// The operating system's.
    pub const SYSTEM: Self = Self {
        random: system_random,
        filetime: system_filetime,
    };

    /// An array of random bytes.
    ///
    /// # Errors
    /// [`Denied`] where the system has none.
    pub(crate) fn array<const N: usize>(&self) -> Result<[u8; N], Denied> {
        let mut bytes = [0; N];
        (self.random)(&mut bytes)?;
        Ok(bytes)
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::SYSTEM
    }
}

fn system_random(bytes: &mut [u8]) -> Result<(), Denied> {
    getrandom::fill(bytes).map_err(|_| Denied::package("the system gives no random bytes"))
}

fn system_filetime() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let ticks = since
        .as_secs()
        .saturating_add(FROM_1601)
        .saturating_mul(10_000_000);
    ticks.saturating_add(u64::from(since.subsec_nanos()).div_euclid(100))
}

/// The channel that an exchange runs inside, as both of its ends can name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelBindings {
    application_data: Vec<u8>,
}

impl ChannelBindings {
    /// A channel named by the application data of RFC 2744 section 3.11, without addresses.
    #[must_use]
    pub fn new(application_data: Vec<u8>) -> Self {
        Self { application_data }
    }

    /// A TLS channel whose server showed a certificate with this hash (RFC 5929 section 4).
    #[must_use]
    pub fn tls_server_end_point(certificate_hash: &[u8]) -> Self {
        let mut data = b"tls-server-end-point:".to_vec();
        data.extend_from_slice(certificate_hash);
        Self::new(data)
    }

    /// The application data.
    #[must_use]
    pub fn application_data(&self) -> &[u8] {
        &self.application_data
    }

    /// The hash that NTLM carries (RFC 4121 section 4.1.1.2): four empty address fields, then the data with its length.
    #[must_use]
    pub fn hash(&self) -> [u8; 16] {
        let len = u32::try_from(self.application_data.len()).unwrap_or(u32::MAX);
        let mut hash = Md5::new();
        hash.update([0; 16]);
        hash.update(len.to_le_bytes());
        hash.update(&self.application_data);
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: `printf '\0...\0\x04\0\0\0abcd' | md5sum` with 16 zero bytes before the length.
    #[test]
    fn the_hash_of_bindings_covers_empty_addresses_and_the_length() {
        let hash = ChannelBindings::new(b"abcd".to_vec()).hash();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "e3873c291580bf8a146910aeeba08c2e");
    }

    #[test]
    fn the_time_is_after_2020_and_before_2100() {
        let now = (Environment::SYSTEM.filetime)();
        assert!((132_223_104_000_000_000..157_469_184_000_000_000).contains(&now));
    }
}
