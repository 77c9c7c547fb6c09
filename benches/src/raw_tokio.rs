//! The raw programs once more on a bare single-thread tokio: what the runtime alone costs.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::load::stamp;
use crate::options::Options;
use crate::pace::{Pace, Report};
use crate::process::announce;
use crate::raw::Responder;
use crate::shape::{CALL_HEADER, Frame, MARK, Transport, Work, dce_bind_ack, reply_template};

/// The runtime every peer here gets: one thread.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime")
}

/// `server raw-tokio`.
pub(crate) fn server(options: &Options) -> Result<()> {
    let work: Work = options.required("work")?;
    ensure!(
        !matches!(work, Work::Read(_)),
        "raw-tokio has no large replies"
    );
    let transport = options.required("transport")?;
    if transport == Transport::Udp {
        return runtime()?.block_on(datagrams(work));
    }
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        announce(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(connection(stream, work, transport));
        }
    })
}

async fn datagrams(work: Work) -> Result<()> {
    ensure!(
        matches!(work, Work::Null),
        "raw-tokio answers null calls over UDP"
    );
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    announce(socket.local_addr()?)?;
    let mut reply = reply_template(work)[MARK..].to_vec();
    let mut buffer = vec![0; 65_536];
    loop {
        let (n, from) = socket.recv_from(&mut buffer).await?;
        ensure!(n == CALL_HEADER, "a call of {n} bytes, not {CALL_HEADER}");
        reply[..4].copy_from_slice(&buffer[..4]);
        socket.send_to(&reply, from).await?;
    }
}

async fn connection(mut stream: TcpStream, work: Work, transport: Transport) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut responder = Responder::new(work, transport);
    let mut buffer = vec![0; 64 << 10];
    if transport == Transport::Dce {
        // The bind comes alone: its sender waits for the answer.
        ensure!(stream.read(&mut buffer).await? >= 16, "half a bind");
        stream.write_all(&dce_bind_ack()).await?;
    }
    let mut have = 0;
    loop {
        let n = stream.read(&mut buffer[have..]).await?;
        if n == 0 {
            return Ok(());
        }
        have += n;
        let mut nowhere = std::io::sink();
        let taken = responder.answer(&buffer[..have], &mut nowhere)?;
        buffer.copy_within(taken..have, 0);
        have -= taken;
        stream.write_all(responder.gathered()).await?;
        responder.gathered().clear();
    }
}

/// `client raw-tokio`: one call in flight, one task.
pub(crate) fn client(options: &Options) -> Result<Report> {
    let work: Work = options.required("work")?;
    ensure!(
        options.required::<usize>("flight")? == 1,
        "raw-tokio's client keeps one call in flight"
    );
    let address: String = options.required("address")?;
    let pace = Pace::new(options.timing()?, work, 1);
    runtime()?.block_on(async {
        let mut stream = TcpStream::connect(&address).await?;
        stream.set_nodelay(true)?;
        let Frame {
            mut call,
            reply: mut expected,
            ..
        } = Frame::of(work, Transport::Tcp);
        let mut reply = vec![0; expected.len()];
        let mut latencies = Vec::new();
        let mut last = Instant::now();
        for xid in 0_u32.. {
            call[MARK..MARK + 4].copy_from_slice(&xid.to_be_bytes());
            expected[MARK..MARK + 4].copy_from_slice(&xid.to_be_bytes());
            stream.write_all(&call).await?;
            stream.read_exact(&mut reply).await?;
            ensure!(reply == expected, "not the reply to xid {xid}");
            if !stamp(&pace, &mut last, &mut latencies)? {
                break;
            }
        }
        pace.report(latencies)
    })
}
