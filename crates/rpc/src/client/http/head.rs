//! Responses of HTTP/1.1 as a client of RPC over HTTP reads them: a head, and a body that may never end.
//!
//! Read first: RFC 9112 sections 4 (status line), 5 (fields), 6 (how long a body is) and 7.1 (chunks), MS-RPCH section 2.1.2.1.4. A proxy in
//! front may cut the body of an OUT channel into chunks, though none should. What this file does not do: obsolete line folding,
//! which is refused, and trailers, which are passed over.

use bytes::{Buf, Bytes, BytesMut};
use farcall_rpch::http::StatusLine;

/// Longest head, in bytes.
const HEAD: usize = 32 << 10;
/// Longest line of a chunked body, in bytes.
const LINE: usize = 4 << 10;

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad(pub(super) &'static str);

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) reason: String,
    /// Names in lower case.
    fields: Vec<(String, String)>,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClosed,
}

impl Head {
    /// Takes a head off what was received. `None`: more must come.
    pub(super) fn take(received: &mut BytesMut) -> Result<Option<Self>, Bad> {
        const START: &[u8] = b"HTTP/1.";
        let begun = received.get(..START.len().min(received.len()));
        if begun.is_some_and(|begun| !START.starts_with(begun)) {
            return Err(Bad("what answers is no server of HTTP/1.1"));
        }
        let Some(end) = end(received) else {
            return match received.len() > HEAD {
                true => Err(Bad("the head of a response has no end")),
                false => Ok(None),
            };
        };
        let head = received.split_to(end);
        Self::parse(&head).map(Some)
    }

    fn parse(head: &[u8]) -> Result<Self, Bad> {
        let mut lines = head
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().unwrap_or_default();
        let line = StatusLine::parse(first).ok_or(Bad("a status line that is none"))?;
        let mut fields = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let text = String::from_utf8_lossy(line);
            if text.starts_with([' ', '\t']) {
                return Err(Bad("a field of a response that goes on in the next line"));
            }
            let (name, value) = text
                .split_once(':')
                .ok_or(Bad("a field of a response without a name"))?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Self {
            status: line.status,
            reason: line.reason,
            fields,
        })
    }

    /// The values of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |(known, _): &&(String, String)| known == name;
        self.fields.iter().filter(named).map(|(_, it)| it.as_str())
    }

    /// Whether one of a field's words is this one.
    pub(super) fn says(&self, name: &str, word: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case(word))
    }

    /// Whether another response to the same request follows.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status)
    }

    /// How long the body is.
    pub(super) fn framing(&self) -> Result<Framing, Bad> {
        if matches!(self.status, 204 | 304) || self.is_interim() {
            return Ok(Framing::Length(0));
        }
        if self.all("transfer-encoding").next().is_some() {
            return match self.says("transfer-encoding", "chunked") {
                true => Ok(Framing::Chunked),
                false => Err(Bad("a body in a coding that is not known")),
            };
        }
        let mut lengths = self.all("content-length");
        let Some(length) = lengths.next() else {
            return Ok(Framing::UntilClosed);
        };
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        match length.parse() {
            Ok(parsed) if digits && lengths.all(|other| other == length) => {
                Ok(Framing::Length(parsed))
            }
            _ => Err(Bad("a body whose length is no number")),
        }
    }

    /// Whether the connection ends with this response.
    pub(super) fn is_last(&self) -> bool {
        self.says("connection", "close") || self.framing() == Ok(Framing::UntilClosed)
    }
}

/// Where a head ends: behind the first empty line.
fn end(received: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = received.get(at..)?;
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        let next = at + line + 1;
        if at > 0 && matches!(rest.get(..line), Some(b"" | b"\r")) {
            return Some(next);
        }
        at = next;
    }
}

/// Takes a body apart.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    /// What is left of a chunk, or of a body of known length.
    left: u64,
    chunk: Chunk,
    line: BytesMut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Size,
    Data,
    /// The line end behind the data.
    Behind,
    /// Trailers, up to an empty line.
    Trailer,
    Over,
}

/// A piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Bytes),
    /// More must come.
    More,
    /// That was all.
    End,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        let left = match framing {
            Framing::Length(length) => length,
            _ => 0,
        };
        Self {
            framing,
            left,
            chunk: Chunk::Size,
            line: BytesMut::new(),
        }
    }

    /// The next piece of what was received, which loses what was used.
    pub(super) fn next(&mut self, received: &mut Bytes) -> Result<Piece, Bad> {
        match self.framing {
            Framing::UntilClosed if received.is_empty() => Ok(Piece::More),
            Framing::UntilClosed => Ok(Piece::Bytes(std::mem::take(received))),
            Framing::Length(_) if self.left == 0 => Ok(Piece::End),
            Framing::Length(_) => Ok(self.data(received)),
            Framing::Chunked => self.chunked(received),
        }
    }

    fn data(&mut self, received: &mut Bytes) -> Piece {
        if received.is_empty() {
            return Piece::More;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let piece = received.split_to(received.len().min(most));
        self.left = self.left.saturating_sub(piece.len() as u64);
        Piece::Bytes(piece)
    }

    fn chunked(&mut self, received: &mut Bytes) -> Result<Piece, Bad> {
        loop {
            match self.chunk {
                Chunk::Over => return Ok(Piece::End),
                Chunk::Data if self.left > 0 => return Ok(self.data(received)),
                Chunk::Data => self.chunk = Chunk::Behind,
                Chunk::Size | Chunk::Behind | Chunk::Trailer => {
                    let Some(line) = self.whole_line(received)? else {
                        return Ok(Piece::More);
                    };
                    self.line(&line)?;
                }
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Bad> {
        self.chunk = match (self.chunk, line.is_empty()) {
            (Chunk::Behind, true) => Chunk::Size,
            (Chunk::Behind, false) => return Err(Bad("a chunk that is longer than it says")),
            (Chunk::Trailer, true) => Chunk::Over,
            (Chunk::Trailer, false) => Chunk::Trailer,
            _ => {
                let size = std::str::from_utf8(line).unwrap_or_default();
                let size = size.split(';').next().unwrap_or_default().trim();
                let hex = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
                self.left = u64::from_str_radix(size, 16)
                    .ok()
                    .filter(|_| hex)
                    .ok_or(Bad("a chunk whose length is no number"))?;
                match self.left {
                    0 => Chunk::Trailer,
                    _ => Chunk::Data,
                }
            }
        };
        Ok(())
    }

    /// A line without its end, once it is whole.
    fn whole_line(&mut self, received: &mut Bytes) -> Result<Option<BytesMut>, Bad> {
        let at = received.iter().position(|byte| *byte == b'\n');
        let taken = received.split_to(at.unwrap_or(received.len()));
        if self.line.len() + taken.len() > LINE {
            return Err(Bad("a line of a chunked body has no end"));
        }
        self.line.extend_from_slice(&taken);
        if at.is_none() {
            return Ok(None);
        }
        received.advance(1);
        if self.line.last() == Some(&b'\r') {
            self.line.truncate(self.line.len() - 1);
        }
        Ok(Some(self.line.split()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Result<Option<Head>, Bad> {
        Head::take(&mut BytesMut::from(text))
    }

    #[test]
    fn a_head_is_read_however_it_is_cut() {
        let text = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nwww-authenticate:Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
        for cut in 0..text.len() {
            let mut received = BytesMut::from(&text[..cut]);
            assert_eq!(Head::take(&mut received), Ok(None), "{cut}");
            assert_eq!(received.len(), cut);
            received.extend_from_slice(&text.as_bytes()[cut..]);
            received.extend_from_slice(b"rest");
            let head = Head::take(&mut received).unwrap().unwrap();
            assert_eq!((head.status, head.reason.as_str()), (401, "Unauthorized"));
            let offers: Vec<_> = head.all("www-authenticate").collect();
            assert_eq!(offers, ["NTLM", "Basic realm=\"x\""]);
            assert_eq!(head.framing(), Ok(Framing::Length(0)));
            assert_eq!(&received[..], b"rest");
        }
    }

    #[test]
    fn what_is_no_head_is_refused_as_soon_as_that_is_seen() {
        for bad in [
            "SSH-2.0-x",
            "\x05\0\x0b\x03",
            "HTTP/2",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        ] {
            assert!(take(bad).is_err(), "{bad:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD));
        assert!(take(&endless).is_err());
    }

    #[test]
    fn the_length_of_a_body_is_what_the_head_says() {
        let framing = |fields: &str| {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            take(&text).unwrap().unwrap().framing()
        };
        assert_eq!(framing("Content-Length: 20\r\n"), Ok(Framing::Length(20)));
        assert_eq!(
            framing("Content-Length: 2\r\nContent-Length: 2\r\n"),
            Ok(Framing::Length(2))
        );
        assert_eq!(
            framing("Transfer-Encoding: Chunked\r\n"),
            Ok(Framing::Chunked)
        );
        assert_eq!(framing(""), Ok(Framing::UntilClosed));
        for bad in [
            "Content-Length: +2\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Transfer-Encoding: gzip\r\n",
        ] {
            assert!(framing(bad).is_err(), "{bad}");
        }
    }

    /// All of a body, given in pieces of this size.
    fn all(framing: Framing, text: &[u8], step: usize) -> Result<(Vec<u8>, bool), Bad> {
        let (mut body, mut found, mut ended) = (Body::new(framing), Vec::new(), false);
        for part in text.chunks(step) {
            let mut part = Bytes::copy_from_slice(part);
            loop {
                match body.next(&mut part)? {
                    Piece::Bytes(piece) => found.extend_from_slice(&piece),
                    Piece::More => break,
                    Piece::End => {
                        ended = true;
                        break;
                    }
                }
            }
        }
        Ok((found, ended))
    }

    #[test]
    fn bodies_are_the_same_however_they_are_cut() {
        // RFC 9112 section 7.1: sizes in hexadecimal, extensions and trailers ignored.
        let chunked = b"5\r\nhello\r\n1;x=y\r\n \r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
        for step in 1..chunked.len() {
            let expected = (b"hello 0123456789".to_vec(), true);
            assert_eq!(all(Framing::Chunked, chunked, step), Ok(expected), "{step}");
            assert_eq!(
                all(Framing::Length(4), b"ab..rest", step),
                Ok((b"ab..".to_vec(), true))
            );
            assert_eq!(
                all(Framing::UntilClosed, b"abc", step),
                Ok((b"abc".to_vec(), false))
            );
        }
    }

    #[test]
    fn chunks_that_lie_are_refused() {
        for bad in [
            &b"x\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"1\r\nab\r\n",
            b"11111111111111111\r\n",
        ] {
            assert!(all(Framing::Chunked, bad, 1).is_err(), "{bad:?}");
        }
        assert!(all(Framing::Chunked, &[b'1'; LINE + 2], 100).is_err());
    }
}
