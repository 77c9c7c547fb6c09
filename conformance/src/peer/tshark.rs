//! tshark: an independent reading of what we put on the wire.

use std::io;
use std::net::UdpSocket;
use std::process::Command;

use nix::sys::signal::Signal;

use super::{Process, Scratch, find};

/// The port to which the last packet of a capture goes; nothing listens there.
const LAST: u16 = 9;

/// A running capture on the loopback interface.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    scratch: Scratch,
    decode_as: Vec<String>,
}

/// What was captured.
#[derive(Debug)]
pub struct Captured {
    scratch: Scratch,
    decode_as: Vec<String>,
}

impl Capture {
    /// Starts capturing what passes `filter` (in the syntax of pcap) on loopback.
    ///
    /// # Errors
    /// When tshark is not installed or may not capture.
    pub fn start(filter: &str) -> io::Result<Self> {
        let scratch = Scratch::new("tshark")?;
        let mut command = tshark(&scratch)?;
        let filter = format!("({filter}) or udp port {LAST}");
        command.args(["-i", "lo", "-l", "-P", "-f", &filter, "-w"]);
        command.arg(scratch.file("capture.pcapng"));
        let process = Process::start("tshark", &mut command)?;
        process.line("Capture started")?;
        Ok(Self {
            process,
            scratch,
            decode_as: Vec::new(),
        })
    }

    /// Starts capturing one port's traffic over `transport` (`tcp` or `udp`), which is to be read
    /// as ONC RPC: the other end's port may be one that tshark knows for another protocol.
    ///
    /// # Errors
    /// When tshark is not installed or may not capture.
    pub fn of_onc(transport: &str, port: u16) -> io::Result<Self> {
        let mut capture = Self::start(&format!("{transport} port {port}"))?;
        capture.decode_as = vec![format!("{transport}.port=={port},rpc")];
        Ok(capture)
    }

    /// Ends the capture, when tshark has seen everything sent until now.
    ///
    /// # Errors
    /// When tshark does not end.
    pub fn stop(self) -> io::Result<Captured> {
        let last = UdpSocket::bind("127.0.0.1:0")?;
        last.send_to(b"the end", ("127.0.0.1", LAST))?;
        self.process
            .line(&format!("{} → {LAST}", last.local_addr()?.port()))?;
        self.process.stop(Signal::SIGINT)?;
        Ok(Captured {
            scratch: self.scratch,
            decode_as: self.decode_as,
        })
    }
}

impl Captured {
    /// The chosen fields of every packet that passes `filter` (in tshark's syntax): one line a
    /// packet, fields separated by tabs.
    ///
    /// # Errors
    /// When tshark refuses the filter or a field.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> io::Result<Vec<String>> {
        self.decoded(&self.decode_as, filter, fields)
    }

    /// The same, decoded as told, such as `tcp.port==1234,dcerpc`.
    ///
    /// # Errors
    /// When tshark refuses the filter, a field or what to decode as.
    pub fn decoded(
        &self,
        decode_as: &[String],
        filter: &str,
        fields: &[&str],
    ) -> io::Result<Vec<String>> {
        let mut command = tshark(&self.scratch)?;
        for rule in decode_as {
            command.args(["-d", rule]);
        }
        command.arg("-r").arg(self.scratch.file("capture.pcapng"));
        command.args([
            "-o",
            "rpc.dissect_unknown_programs:TRUE",
            "-Y",
            filter,
            "-T",
            "fields",
        ]);
        for field in fields {
            command.args(["-e", field]);
        }
        let done = command.output()?;
        if !done.status.success() {
            let error = String::from_utf8_lossy(&done.stderr).into_owned();
            return Err(io::Error::other(format!("tshark: {error}")));
        }
        Ok(String::from_utf8_lossy(&done.stdout)
            .lines()
            .map(str::to_owned)
            .collect())
    }
}

/// tshark with a home folder that it may write to.
fn tshark(scratch: &Scratch) -> io::Result<Command> {
    let program = find("tshark").ok_or_else(|| io::Error::other("no tshark"))?;
    let mut command = Command::new(program);
    command.env("HOME", scratch.path()).env("LC_ALL", "C");
    Ok(command)
}
