//! Raw servers: the fewest bytes moved and system calls made that the shape allows.
//!
//! They know the shape beforehand, parse nothing but the xid's place, and answer all complete
//! calls of one read with one write. What they reach is the limit the others are divided by.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::thread;

use anyhow::{Result, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::options::Options;
use crate::process::announce;
use crate::shape::{
    CALL_HEADER, Frame, MARK, REPLY_HEADER, Transport, Work, dce_bind_ack, read_pdu, reply_template,
};

const BUFFER: usize = 256 << 10;

/// Turns calls of one shape into replies by copying a template.
pub(crate) struct Responder {
    work: Work,
    frame: Frame,
    out: Vec<u8>,
}

impl Responder {
    pub(crate) fn new(work: Work, transport: Transport) -> Self {
        Self {
            work,
            frame: Frame::of(work, transport),
            out: Vec::with_capacity(BUFFER),
        }
    }

    /// Answers the whole calls at the front of `batch`; returns how many bytes they took.
    ///
    /// Large replies go to `sink` one by one from the one buffer; small ones wait for
    /// [`flush`](Self::flush).
    pub(crate) fn answer(&mut self, batch: &[u8], sink: &mut impl Write) -> Result<usize> {
        let frame = &mut self.frame;
        let calls = batch.chunks_exact(frame.call.len());
        let taken = batch.len() - calls.remainder().len();
        let id = frame.id..frame.id + 4;
        for call in calls {
            frame.reply[id.clone()].copy_from_slice(&call[id.clone()]);
            if let Work::Read(_) = self.work {
                sink.write_all(&frame.reply)?;
                continue;
            }
            let at = self.out.len();
            self.out.extend_from_slice(&frame.reply);
            if let Work::Echo(n) = self.work {
                let (to, from) = (at + frame.reply_data, frame.call_data);
                self.out[to..to + n].copy_from_slice(&call[from..from + n]);
            }
        }
        Ok(taken)
    }

    /// The small replies gathered; the caller writes and then clears them.
    pub(crate) fn gathered(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn flush(&mut self, sink: &mut impl Write) -> Result<()> {
        if !self.out.is_empty() {
            sink.write_all(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }
}

/// `server raw`: blocking sockets, a thread for each connection; or one UDP socket.
pub(crate) fn blocking(options: &Options) -> Result<()> {
    let work: Work = options.required("work")?;
    let transport = options.required("transport")?;
    if transport == Transport::Udp {
        return datagrams(work);
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    announce(listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || connection(stream, work, transport));
    }
    Ok(())
}

fn connection(mut stream: TcpStream, work: Work, transport: Transport) -> Result<()> {
    stream.set_nodelay(true)?;
    if transport == Transport::Dce {
        read_pdu(&mut stream)?;
        stream.write_all(&dce_bind_ack())?;
    }
    let mut responder = Responder::new(work, transport);
    let mut buffer = vec![0; BUFFER];
    let mut have = 0;
    loop {
        let n = stream.read(&mut buffer[have..])?;
        if n == 0 {
            return Ok(());
        }
        have += n;
        let taken = responder.answer(&buffer[..have], &mut stream)?;
        responder.flush(&mut stream)?;
        buffer.copy_within(taken..have, 0);
        have -= taken;
    }
}

fn datagrams(work: Work) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    announce(socket.local_addr()?)?;
    let reply = reply_template(work);
    let mut reply = reply[MARK..].to_vec();
    let expected = CALL_HEADER + work.arguments();
    let mut buffer = vec![0; 65_536];
    loop {
        let (n, from) = socket.recv_from(&mut buffer)?;
        ensure!(n == expected, "a call of {n} bytes, not {expected}");
        reply[..4].copy_from_slice(&buffer[..4]);
        if let Work::Echo(size) = work {
            reply[REPLY_HEADER + 4..].copy_from_slice(&buffer[CALL_HEADER + 4..][..size]);
        }
        socket.send_to(&reply, from)?;
    }
}

/// `server raw-epoll`: one thread, level-triggered epoll, nothing kept for an idle connection
/// but its socket.
pub(crate) fn epoll(options: &Options) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    announce(listener.local_addr()?)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(
        listener.as_fd(),
        EpollEvent::new(EpollFlags::EPOLLIN, u64::MAX),
    )?;
    let mut responder = Responder::new(options.required("work")?, Transport::Tcp);
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let mut events = vec![EpollEvent::empty(); 256];
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            if event.data() == u64::MAX {
                accept(&listener, &epoll, &mut streams)?;
                continue;
            }
            let slot = &mut streams[event.data() as usize];
            let Some(stream) = slot else { continue };
            if !turn(stream, &mut responder, &mut buffer)? {
                epoll.delete(stream.as_fd())?;
                *slot = None;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    epoll: &Epoll,
    streams: &mut Vec<Option<TcpStream>>,
) -> Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let event = EpollEvent::new(EpollFlags::EPOLLIN, streams.len() as u64);
                epoll.add(stream.as_fd(), event)?;
                streams.push(Some(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// One readable connection: read, answer, write. Shapes whose calls split over reads are not
/// for this server; it refuses them.
fn turn(stream: &mut TcpStream, responder: &mut Responder, buffer: &mut [u8]) -> Result<bool> {
    let n = match stream.read(buffer) {
        Ok(0) => return Ok(false),
        Ok(n) => n,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let taken = responder.answer(&buffer[..n], stream)?;
    ensure!(taken == n, "a call was split over two reads");
    responder.flush(stream)?;
    Ok(true)
}
