//! What goes wrong under TLS, in words that say what to do about it.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as Tls, PeerIncompatible};

use crate::error::{Cause, Error, Phase, TlsFault};

/// Why there is no TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    fault: TlsFault,
    text: String,
    hint: Option<&'static str>,
}

impl TlsError {
    pub(super) fn new(fault: TlsFault, text: impl Into<String>) -> Self {
        Self {
            fault,
            text: text.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// What kind of thing it is.
    pub fn fault(&self) -> TlsFault {
        self.fault
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for TlsError {}

impl From<TlsError> for Error {
    fn from(error: TlsError) -> Self {
        let said = Self::new(Phase::Secure, Cause::Tls(error.fault, error.text));
        match error.hint {
            Some(hint) => said.hint(hint),
            None => said,
        }
    }
}

/// What an error of a stream under TLS means; any other is only an interruption.
pub(super) fn explain(error: &io::Error) -> TlsError {
    let inner = error.get_ref().and_then(|it| it.downcast_ref::<Tls>());
    let Some(inner) = inner else {
        let text = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the peer ended the connection".to_owned(),
            _ => error.to_string(),
        };
        return TlsError::new(TlsFault::Interrupted, text);
    };
    match inner {
        Tls::InvalidCertificate(why) => certificate(why),
        Tls::NoCertificatesPresented => TlsError::new(
            TlsFault::CertificateRequired,
            "the peer showed no certificate",
        ),
        Tls::AlertReceived(alert) => alerted(*alert),
        Tls::InvalidMessage(_) | Tls::InappropriateMessage { .. } => {
            TlsError::new(TlsFault::NotTls, "what the peer sent is no TLS")
        }
        Tls::NoApplicationProtocol => TlsError::new(
            TlsFault::Protocol,
            "the client offers other protocols than are spoken here (ALPN)",
        ),
        Tls::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => TlsError::new(
            TlsFault::Version,
            "the peer speaks no version of TLS that is spoken here",
        ),
        other => TlsError::new(TlsFault::Refused, other.to_string()),
    }
}

/// What the end of a connection that was protected means, if TLS says it. With TLS 1.3 a client learns only so that its
/// certificate was not liked: the server has run none of its calls then.
pub(crate) fn explain_lost(error: &io::Error) -> Option<Error> {
    let unheard = match error.get_ref()?.downcast_ref::<Tls>()? {
        Tls::AlertReceived(alert) => is_about_certificates(*alert),
        _ => false,
    };
    Some(Error::from(explain(error)).executed(!unheard))
}

fn is_about_certificates(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::CertificateRequired
            | A::CertificateExpired
            | A::UnknownCA
            | A::CertificateRevoked
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateUnknown
            // Of signatures in handshakes; records have an alert of their own (RFC 8446 section 6.2).
            | A::DecryptError
    )
}

/// What is wrong with the certificate that the peer showed.
fn certificate(why: &CertificateError) -> TlsError {
    use CertificateError as C;
    let (fault, text, hint) = match why {
        C::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            let text = format!("the peer's certificate expired {} ago", span(ago));
            (
                TlsFault::Expired,
                text,
                "renew it, or set this machine's clock",
            )
        }
        C::Expired => (
            TlsFault::Expired,
            "the peer's certificate has expired".to_owned(),
            "renew it, or set this machine's clock",
        ),
        C::NotValidYetContext { time, not_before } => {
            let to_come = not_before.as_secs().saturating_sub(time.as_secs());
            let text = format!("the peer's certificate is valid only in {}", span(to_come));
            (TlsFault::NotYetValid, text, "set this machine's clock")
        }
        C::NotValidYet => (
            TlsFault::NotYetValid,
            "the peer's certificate is not valid yet".to_owned(),
            "set this machine's clock",
        ),
        // Another authority may have the name of one that is trusted.
        C::UnknownIssuer | C::BadSignature => (
            TlsFault::UnknownIssuer,
            "the peer's certificate is from an authority that is not trusted here".to_owned(),
            "name the authority: --ca FILE",
        ),
        C::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names = match presented.is_empty() {
                true => "no name at all".to_owned(),
                false => presented.join(", "),
            };
            let text = format!(
                "the peer's certificate is not for {}: it is for {names}",
                expected.to_str()
            );
            (
                TlsFault::WrongName,
                text,
                "call it by a name of its certificate, or give that name: --server-name",
            )
        }
        C::NotValidForName => (
            TlsFault::WrongName,
            "the peer's certificate is for other names".to_owned(),
            "call it by a name of its certificate, or give that name: --server-name",
        ),
        C::Revoked => (
            TlsFault::Revoked,
            "the peer's certificate has been revoked".to_owned(),
            "it needs a new one",
        ),
        C::ExpiredRevocationList | C::ExpiredRevocationListContext { .. } => (
            TlsFault::Revoked,
            "the list of revoked certificates has expired".to_owned(),
            "fetch a new one from the authority",
        ),
        other => {
            return TlsError::new(
                TlsFault::BadCertificate,
                format!("the peer's certificate: {other}"),
            );
        }
    };
    TlsError::new(fault, text).hint(hint)
}

/// What the peer says of us.
fn alerted(alert: AlertDescription) -> TlsError {
    use AlertDescription as A;
    let (fault, text, hint) = match alert {
        A::CertificateRequired => (
            TlsFault::CertificateRequired,
            "the peer insists on a certificate, and none was shown",
            "show one: --cert FILE --key FILE",
        ),
        A::CertificateExpired => (
            TlsFault::Refused,
            "the peer finds that our certificate has expired",
            "renew it",
        ),
        A::UnknownCA => (
            TlsFault::Refused,
            "the peer does not trust the authority that our certificate is from",
            "it must be told of that authority, or another certificate be shown",
        ),
        A::CertificateRevoked => (
            TlsFault::Refused,
            "the peer finds that our certificate was revoked",
            "get a new one",
        ),
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown | A::DecryptError => {
            (
                TlsFault::Refused,
                "the peer does not accept our certificate",
                "its log may say why",
            )
        }
        A::ProtocolVersion => (
            TlsFault::Version,
            "the peer speaks no version of TLS that is spoken here",
            "RPC-with-TLS needs TLS 1.3",
        ),
        A::NoApplicationProtocol => (
            TlsFault::Protocol,
            "the peer speaks another protocol under TLS (ALPN)",
            "is it the right port?",
        ),
        other => {
            return TlsError::new(TlsFault::Refused, format!("the peer ended it: {other:?}"));
        }
    };
    TlsError::new(fault, text).hint(hint)
}

/// A time in the unit that fits.
fn span(seconds: u64) -> String {
    let (count, unit) = match Duration::from_secs(seconds).as_secs() {
        s if s < 120 => (s, "s"),
        s if s < 7200 => (s / 60, "minutes"),
        s if s < 172_800 => (s / 3600, "hours"),
        s => (s / 86_400, "days"),
    };
    format!("{count} {unit}")
}
