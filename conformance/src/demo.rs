//! Our side of the demo program (`conformance/idl/demo.x`): types, service and calls.
//!
//! Written by hand in the shape that generated code has, so that the tests of the face and of the
//! compiler do not wait for each other.

use farcall::stub::{Procedure, Program, Registered, Reply, Service};
use farcall::{Call, Calling, Client, Refuse};
use farcall_wire::{
    Decode, DecodeError, DecodeErrorKind, Encode, EncodeError, Reader, Size, Str, Writer, xdr,
};

/// Longest text that the program takes, in bytes.
pub const DEMO_MAX: u32 = 4096;

/// The number of the program.
pub const NUMBER: u32 = 0x2000_0099;

const fn procedure(number: u32, name: &'static str) -> Procedure {
    Procedure {
        number,
        name,
        idempotent: false,
        blocking: false,
    }
}

/// Version 1.
pub static V1: Program = Program {
    number: NUMBER,
    version: 1,
    name: "DEMO_PROG",
    version_name: "DEMO_V1",
    procedures: &[
        procedure(1, "ECHO"),
        procedure(2, "ADD"),
        procedure(3, "BLOB"),
        procedure(4, "SUM"),
    ],
};

/// Version 2.
pub static V2: Program = Program {
    number: NUMBER,
    version: 2,
    name: "DEMO_PROG",
    version_name: "DEMO_V2",
    procedures: &[procedure(1, "ECHO2"), procedure(9, "ONEWAY")],
};

/// `shape`: a union with a default arm.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A number.
    Red(i32),
    /// A text.
    Green(Str),
    /// Nothing.
    Blue,
}

/// `blob`: one of everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Blob {
    /// Any bytes.
    pub data: Vec<u8>,
    /// A wide number.
    pub h: i64,
    /// A real number.
    pub d: f64,
    /// A union.
    pub s: Shape,
    /// A list.
    pub list: Vec<i32>,
}

/// `tree`: nests without a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// Below.
    pub left: Option<Box<Tree>>,
    /// Below.
    pub right: Option<Box<Tree>>,
    /// Here.
    pub v: i32,
}

impl Encode for Shape {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(4);
        match self {
            Self::Red(r) => r.measure(size),
            Self::Green(g) => g.measure(size),
            Self::Blue => Ok(()),
        }
    }
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Red(r) => {
                w.i32(0);
                r.encode(w);
            }
            Self::Green(g) => {
                w.i32(1);
                g.encode(w);
            }
            Self::Blue => w.i32(7),
        }
    }
}

impl<'a> Decode<'a> for Shape {
    const MIN_LEN: usize = 4;
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match r.i32()? {
            0 => Ok(Self::Red(r.i32()?)),
            1 => Ok(Self::Green(Str::decode(r)?)),
            7 => Ok(Self::Blue),
            value => Err(r.error(DecodeErrorKind::BadEnum {
                name: "color",
                value,
            })),
        }
    }
}

impl Encode for Blob {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.opaque_var(self.data.len(), u32::MAX)?;
        size.add(16);
        self.s.measure(size)?;
        xdr::measure_list(&self.list, size)
    }
    fn encode(&self, w: &mut Writer<'_>) {
        w.opaque_var(&self.data);
        w.i64(self.h);
        w.f64(self.d);
        self.s.encode(w);
        xdr::encode_list(&self.list, w);
    }
}

impl<'a> Decode<'a> for Blob {
    const MIN_LEN: usize = 28;
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            data: r.opaque_vec(u32::MAX)?,
            h: r.i64()?,
            d: r.f64()?,
            s: Shape::decode(r)?,
            list: xdr::list(r)?,
        })
    }
}

impl Encode for Tree {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.nested(|size| {
            self.left.measure(size)?;
            self.right.measure(size)?;
            self.v.measure(size)
        })
    }
    fn encode(&self, w: &mut Writer<'_>) {
        self.left.encode(w);
        self.right.encode(w);
        self.v.encode(w);
    }
}

impl<'a> Decode<'a> for Tree {
    const MIN_LEN: usize = 12;
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.nested(|r| {
            Ok(Self {
                left: Option::decode(r)?,
                right: Option::decode(r)?,
                v: r.i32()?,
            })
        })
    }
}

impl Tree {
    fn sum(&self) -> i32 {
        let below = [&self.left, &self.right].into_iter().flatten();
        below.fold(self.v, |sum, tree| sum.wrapping_add(tree.sum()))
    }
}

/// The demo program in one of its versions.
#[derive(Clone, Copy, Debug)]
struct Demo(&'static Program);

/// Both versions, ready for a server.
pub fn services() -> [Registered; 2] {
    [&V1, &V2].map(|program| Registered::new(Demo(program)))
}

impl Service for Demo {
    fn program(&self) -> &'static Program {
        self.0
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut Reader<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), Refuse> {
        match (self.0.version, call.procedure()) {
            (1 | 2, 1) => {
                let text = xdr::string_var(arguments, DEMO_MAX)?;
                arguments.finish()?;
                reply.encode(&text)
            }
            (1, 2) => {
                let (a, b) = (arguments.i32()?, arguments.i32()?);
                arguments.finish()?;
                reply.encode(&a.wrapping_add(b))
            }
            (1, 3) => {
                let blob = Blob::decode(arguments)?;
                arguments.finish()?;
                let (h, d) = (blob.h.wrapping_add(1), blob.d * 2.0);
                reply.encode(&Blob {
                    h,
                    d,
                    s: Shape::Red(42),
                    ..blob
                })
            }
            (1, 4) => {
                let tree = Tree::decode(arguments)?;
                arguments.finish()?;
                reply.encode(&tree.sum())
            }
            (2, 9) => {
                xdr::string_var(arguments, DEMO_MAX)?;
                arguments.finish()?;
                Err(Refuse::NoReply)
            }
            _ => Err(Refuse::ProcUnavail),
        }
    }
}

/// ECHO.
pub fn echo(client: &Client, text: &str) -> Calling<Str> {
    client.call(&V1, 1, &Str::from(text), |r| xdr::string_var(r, DEMO_MAX))
}

/// ADD.
pub fn add(client: &Client, a: i32, b: i32) -> Calling<i32> {
    client.call(&V1, 2, &(a, b), |r| r.i32())
}

/// BLOB.
#[expect(
    clippy::redundant_closure,
    reason = "the function itself is not general enough"
)]
pub fn blob(client: &Client, blob: &Blob) -> Calling<Blob> {
    client.call(&V1, 3, blob, |r| Blob::decode(r))
}

/// SUM.
pub fn sum(client: &Client, tree: &Tree) -> Calling<i32> {
    client.call(&V1, 4, tree, |r| r.i32())
}

/// ECHO2.
pub fn echo2(client: &Client, text: &str) -> Calling<Str> {
    client.call(&V2, 1, &Str::from(text), |r| xdr::string_var(r, DEMO_MAX))
}
