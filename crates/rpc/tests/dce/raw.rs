//! A peer that speaks in bytes: PDUs as C706 section 12.6 lays them out, little-endian.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::echo::ECHO;

/// A PDU: header, then body.
pub(crate) fn pdu(ptype: u8, flags: u8, call: u32, body: &[u8]) -> Vec<u8> {
    let len = (16 + body.len()) as u16;
    let mut bytes = vec![5, 0, ptype, flags, 0x10, 0, 0, 0];
    bytes.extend(len.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes.extend(call.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// A bind to rpcecho in NDR, with concurrent multiplexing.
pub(crate) fn bind() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(5840_u16.to_le_bytes());
    body.extend(5840_u16.to_le_bytes());
    body.extend(0_u32.to_le_bytes());
    body.extend([1, 0, 0, 0]);
    body.extend([0, 0, 1, 0]);
    body.extend(ECHO.uuid.to_bytes_le());
    body.extend(1_u32.to_le_bytes());
    body.extend([
        0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48,
        0x60,
    ]);
    body.extend(2_u32.to_le_bytes());
    pdu(11, 0x13, 1, &body)
}

/// A request in one fragment on context 0.
pub(crate) fn request(call: u32, opnum: u16, stub: &[u8]) -> Vec<u8> {
    fragment(call, opnum, 0x03, stub)
}

/// A fragment of a request on context 0.
pub(crate) fn fragment(call: u32, opnum: u16, flags: u8, stub: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend((stub.len() as u32).to_le_bytes());
    body.extend(0_u16.to_le_bytes());
    body.extend(opnum.to_le_bytes());
    body.extend(stub);
    pdu(0, flags, call, &body)
}

/// A connection that is bound.
pub(crate) async fn bound(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("connects");
    stream.write_all(&bind()).await.expect("sent");
    let ack = read(&mut stream).await.expect("answered");
    assert_eq!(ack[2], 12, "bind_ack");
    stream
}

/// The next PDU; nothing if the connection ends.
pub(crate) async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let reading = async {
        let mut bytes = vec![0; 16];
        stream.read_exact(&mut bytes).await.ok()?;
        let len = u16::from_le_bytes([bytes[8], bytes[9]]);
        bytes.resize(len.into(), 0);
        stream.read_exact(&mut bytes[16..]).await.ok()?;
        Some(bytes)
    };
    let read = tokio::time::timeout(Duration::from_secs(10), reading).await;
    read.expect("something comes or the connection ends")
}

/// The call id of a PDU.
pub(crate) fn call_id(pdu: &[u8]) -> u32 {
    u32::from_le_bytes([pdu[12], pdu[13], pdu[14], pdu[15]])
}
