//! The responses, each with its one form.
//!
//! Read first: MS-RPCH sections 2.1.2.1.3 (errors), 2.1.2.1.6 (echo). Of a channel's own responses, `line` writes the heads. Bodies of errors are short or empty, and
//! say nothing that the status line does not say.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::ext::ReasonPhrase;

/// The body of a response.
pub type Reply = Full<Bytes>;

/// The Echo RTS PDU (MS-RPCH section 2.2.4.50): a header of RTS with the flag ECHO and no command.
pub const ECHO: &[u8; 20] = b"\x05\0\x14\x03\x10\0\0\0\x14\0\0\0\0\0\0\0\x40\0\0\0";

const SUCCESS: ReasonPhrase = ReasonPhrase::from_static(b"Success");
const RPC: HeaderValue = HeaderValue::from_static("application/rpc");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const METHODS: HeaderValue = HeaderValue::from_static("RPC_IN_DATA, RPC_OUT_DATA");
const PERSISTENT: HeaderName = HeaderName::from_static("persistent-auth");

fn plain(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    *response.status_mut() = status;
    response
}

/// A response after which the connection ends.
#[must_use]
pub fn last(status: StatusCode) -> Response<Reply> {
    let mut response = plain(status);
    response.headers_mut().insert(header::CONNECTION, CLOSE);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, METHODS);
    }
    response
}

/// `503 RPC Error:` with a Win32 code; the connection ends.
#[must_use]
pub fn rpc_error(code: u32) -> Response<Reply> {
    let mut response = last(StatusCode::SERVICE_UNAVAILABLE);
    if let Ok(reason) = ReasonPhrase::try_from(format!("RPC Error: {code:x}")) {
        response.extensions_mut().insert(reason);
    }
    response
}

/// 401 with challenges. The connection stays, so that the exchange can go on over it.
#[must_use]
pub fn unauthorized(challenges: Vec<HeaderValue>) -> Response<Reply> {
    let mut response = plain(StatusCode::UNAUTHORIZED);
    for challenge in challenges {
        response
            .headers_mut()
            .append(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The answer to an echo request.
#[must_use]
pub fn echo() -> Response<Reply> {
    success(Reply::from(Bytes::from_static(ECHO)))
}

fn success(body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    response.extensions_mut().insert(SUCCESS);
    response.headers_mut().insert(header::CONTENT_TYPE, RPC);
    response
}

/// Says that who the connection is stays with it, and gives the client its last token.
#[must_use]
pub fn with_proof(mut response: Response<Reply>, token: Option<HeaderValue>) -> Response<Reply> {
    let headers = response.headers_mut();
    headers.insert(PERSISTENT, HeaderValue::from_static("true"));
    if let Some(token) = token {
        headers.insert(header::WWW_AUTHENTICATE, token);
    }
    response
}
