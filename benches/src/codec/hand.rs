//! What `farcall-idl` will generate from `idl/bench.x`, written by hand until it does.

#![allow(unreachable_pub)]

use farcall_wire::{At, Decode, DecodeError, Encode, EncodeError, Reader, Size, Str, Writer, xdr};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attributes {
    pub kind: u32,
    pub mode: u32,
    pub links: u32,
    pub owner: u32,
    pub group: u32,
    pub size: u64,
    pub used: u64,
    pub device_major: u32,
    pub device_minor: u32,
    pub filesystem: u64,
    pub number: u64,
    pub accessed_seconds: u32,
    pub accessed_nanoseconds: u32,
    pub modified_seconds: u32,
    pub modified_nanoseconds: u32,
    pub changed_seconds: u32,
    pub changed_nanoseconds: u32,
}
impl Encode for Attributes {
    const FIXED: Option<usize> = Some(84);
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(84);
        Ok(())
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        let mut w = w.block::<84>();
        w.u32(self.kind);
        w.u32(self.mode);
        w.u32(self.links);
        w.u32(self.owner);
        w.u32(self.group);
        w.u64(self.size);
        w.u64(self.used);
        w.u32(self.device_major);
        w.u32(self.device_minor);
        w.u64(self.filesystem);
        w.u64(self.number);
        w.u32(self.accessed_seconds);
        w.u32(self.accessed_nanoseconds);
        w.u32(self.modified_seconds);
        w.u32(self.modified_nanoseconds);
        w.u32(self.changed_seconds);
        w.u32(self.changed_nanoseconds);
    }
}
impl<'a> Decode<'a> for Attributes {
    const MIN_LEN: usize = 84;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut r = r.block::<84>()?;
        Ok(Self {
            kind: r.u32().at("kind")?,
            mode: r.u32().at("mode")?,
            links: r.u32().at("links")?,
            owner: r.u32().at("owner")?,
            group: r.u32().at("group")?,
            size: r.u64().at("size")?,
            used: r.u64().at("used")?,
            device_major: r.u32().at("device_major")?,
            device_minor: r.u32().at("device_minor")?,
            filesystem: r.u64().at("filesystem")?,
            number: r.u64().at("number")?,
            accessed_seconds: r.u32().at("accessed_seconds")?,
            accessed_nanoseconds: r.u32().at("accessed_nanoseconds")?,
            modified_seconds: r.u32().at("modified_seconds")?,
            modified_nanoseconds: r.u32().at("modified_nanoseconds")?,
            changed_seconds: r.u32().at("changed_seconds")?,
            changed_nanoseconds: r.u32().at("changed_nanoseconds")?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub number: u64,
    pub name: Str,
    pub cookie: u64,
    pub about: Option<Attributes>,
    pub handle: Vec<u8>,
}
impl<'a> Decode<'a> for Entry {
    const MIN_LEN: usize = 28;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: r.u64().at("number")?,
            name: xdr::string_var(r, 255).at("name")?,
            cookie: r.u64().at("cookie")?,
            about: Decode::decode(r).at("about")?,
            handle: r.opaque_vec(64).at("handle")?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct EntryRef<'a> {
    pub number: u64,
    pub name: &'a [u8],
    pub cookie: u64,
    pub about: Option<Attributes>,
    pub handle: &'a [u8],
}
impl<'a> Decode<'a> for EntryRef<'a> {
    const MIN_LEN: usize = 28;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: r.u64().at("number")?,
            name: r.opaque_var(255).at("name")?,
            cookie: r.u64().at("cookie")?,
            about: Decode::decode(r).at("about")?,
            handle: r.opaque_var(64).at("handle")?,
        })
    }
}

impl Encode for Entry {
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(16);
        size.opaque_var(self.name.len(), 255).at("name")?;
        self.about.measure(size).at("about")?;
        size.opaque_var(self.handle.len(), 64).at("handle")
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.number);
        w.opaque_var(&self.name);
        w.u64(self.cookie);
        self.about.encode(w);
        w.opaque_var(&self.handle);
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    pub verifier: [u8; 8],
    pub entries: Vec<Entry>,
    pub end: bool,
}
impl<'a> Decode<'a> for Listing {
    const MIN_LEN: usize = 16;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            verifier: *r.opaque_fixed().at("verifier")?,
            entries: xdr::list(r).at("entries")?,
            end: r.bool().at("end")?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ListingRef<'a> {
    pub verifier: [u8; 8],
    pub entries: Vec<EntryRef<'a>>,
    pub end: bool,
}
impl<'a> Decode<'a> for ListingRef<'a> {
    const MIN_LEN: usize = 16;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            verifier: *r.opaque_fixed().at("verifier")?,
            entries: xdr::list(r).at("entries")?,
            end: r.bool().at("end")?,
        })
    }
}

impl Encode for Listing {
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.opaque_fixed(8);
        xdr::measure_list(&self.entries, size).at("entries")?;
        size.add(4);
        Ok(())
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        w.opaque_fixed(&self.verifier);
        xdr::encode_list(&self.entries, w);
        w.bool(self.end);
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub id: u32,
    pub time: u64,
    pub value: i32,
    pub tag: Str,
}
impl<'a> Decode<'a> for Sample {
    const MIN_LEN: usize = 20;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: r.u32().at("id")?,
            time: r.u64().at("time")?,
            value: r.i32().at("value")?,
            tag: xdr::string_var(r, 16).at("tag")?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct SampleRef<'a> {
    pub id: u32,
    pub time: u64,
    pub value: i32,
    pub tag: &'a [u8],
}
impl<'a> Decode<'a> for SampleRef<'a> {
    const MIN_LEN: usize = 20;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: r.u32().at("id")?,
            time: r.u64().at("time")?,
            value: r.i32().at("value")?,
            tag: r.opaque_var(16).at("tag")?,
        })
    }
}

impl Encode for Sample {
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(16);
        size.opaque_var(self.tag.len(), 16).at("tag")
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        let mut b = w.block::<16>();
        b.u32(self.id);
        b.u64(self.time);
        b.i32(self.value);
        w.opaque_var(&self.tag);
    }
}

/// The program's only version.
pub mod v1 {
    use farcall::stub::{Procedure, Program, Registered, Reply, Service};
    use farcall::{Call, Calling, Client as Core, Error, Refuse};
    use farcall_wire::{Bytes, Encode, EncodeError, Reader, Size, Writer};
    use std::future::Future;

    const fn procedure(number: u32, name: &'static str) -> Procedure {
        Procedure {
            number,
            name,
            idempotent: false,
            blocking: false,
        }
    }
    pub static PROGRAM: Program = Program {
        number: 0x2000_0b01,
        version: 1,
        name: "BENCH_PROG",
        version_name: "BENCH_V1",
        procedures: &[procedure(1, "BENCH_ECHO"), procedure(2, "BENCH_READ")],
    };
    pub trait Server: Send + Sync + 'static {
        fn bench_echo(
            &self,
            call: &Call,
            data: Bytes,
        ) -> impl Future<Output = Result<Bytes, Refuse>> + Send;
        fn bench_read(
            &self,
            call: &Call,
            n: u32,
        ) -> impl Future<Output = Result<Bytes, Refuse>> + Send;
    }
    struct Payload<'a>(&'a Bytes);
    impl Encode for Payload<'_> {
        fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
            size.bytes_var(self.0, u32::MAX)
        }
        fn encode(&self, w: &mut Writer<'_>) {
            w.bytes_var(self.0)
        }
    }
    struct Stub<S>(S);
    impl<S: Server> Service for Stub<S> {
        fn program(&self) -> &'static Program {
            &PROGRAM
        }
        async fn call(
            &self,
            call: &Call,
            arguments: &mut Reader<'_>,
            reply: &mut Reply<'_>,
        ) -> Result<(), Refuse> {
            match call.procedure() {
                1 => {
                    let data = arguments.bytes_var(u32::MAX)?;
                    arguments.finish()?;
                    let result = self.0.bench_echo(call, data).await?;
                    reply.encode(&Payload(&result))
                }
                2 => {
                    let n = arguments.u32()?;
                    arguments.finish()?;
                    let result = self.0.bench_read(call, n).await?;
                    reply.encode(&Payload(&result))
                }
                _ => Err(Refuse::ProcUnavail),
            }
        }
    }
    pub fn service<S: Server>(server: S) -> Registered {
        Registered::new(Stub(server))
    }
    pub struct Client(Core);
    impl Client {
        pub async fn connect(endpoint: &str) -> Result<Self, Error> {
            Core::connect(endpoint, PROGRAM.number, 1).await.map(Self)
        }
        pub fn bench_null(&self) -> Calling<()> {
            self.0.call(&PROGRAM, 0, &(), |_| Ok(()))
        }
        pub fn bench_echo(&self, data: &Bytes) -> Calling<Bytes> {
            self.0
                .call(&PROGRAM, 1, &Payload(data), |r| r.bytes_var(u32::MAX))
        }
        pub fn bench_read(&self, n: u32) -> Calling<Bytes> {
            self.0.call(&PROGRAM, 2, &n, |r| r.bytes_var(u32::MAX))
        }
    }
    pub struct BlockingClient(farcall::blocking::Client);
    impl BlockingClient {
        pub fn connect(endpoint: &str) -> Result<Self, Error> {
            farcall::blocking::Client::connect(endpoint, PROGRAM.number, 1).map(Self)
        }
        pub fn bench_null(&self) -> Result<(), Error> {
            self.0.call(&PROGRAM, 0, &(), |_| Ok(()))
        }
        pub fn bench_echo(&self, data: &Bytes) -> Result<Bytes, Error> {
            self.0
                .call(&PROGRAM, 1, &Payload(data), |r| r.bytes_var(u32::MAX))
        }
        pub fn bench_read(&self, n: u32) -> Result<Bytes, Error> {
            self.0.call(&PROGRAM, 2, &n, |r| r.bytes_var(u32::MAX))
        }
    }
}
