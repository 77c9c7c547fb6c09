//! XDR, all of it: whatever decodes encodes to the same bytes, and nothing takes more memory,
//! depth or length than it may.
#![no_main]

use farcall_wire::xdr::{self, Decode, Encode};
use farcall_wire::{
    Bytes, DecodeError, EncodeError, Limits, Padding, Quadruple, Reader, Size, Str, Writer,
};
use libfuzzer_sys::fuzz_target;

/// One of everything that the language has.
#[derive(Debug)]
struct All {
    number: i32,
    truth: bool,
    wide: u64,
    real: f64,
    quadruple: Quadruple,
    fixed: [u8; 5],
    data: Vec<u8>,
    shared: Bytes,
    text: Str,
    numbers: Vec<u32>,
    few: [i64; 3],
    list: Vec<(i32, Str)>,
    union: Choice,
    below: Option<Box<All>>,
}

/// A union with a default arm, which keeps its discriminant.
#[derive(Debug)]
enum Choice {
    Word(u32),
    Text(Str),
    Default(i32),
}

/// A node of a list.
struct Node(i32, Str);

impl Encode for Node {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        self.0.measure(size)?;
        self.1.measure(size)
    }
    fn encode(&self, w: &mut Writer<'_>) {
        self.0.encode(w);
        self.1.encode(w);
    }
}

impl<'a> Decode<'a> for Node {
    const MIN_LEN: usize = 8;
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self(r.i32()?, Str::decode(r)?))
    }
}

fn nodes(all: &All) -> Vec<Node> {
    all.list
        .iter()
        .map(|(value, text)| Node(*value, text.clone()))
        .collect()
}

impl Encode for All {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        self.number.measure(size)?;
        self.truth.measure(size)?;
        self.wide.measure(size)?;
        self.real.measure(size)?;
        self.quadruple.measure(size)?;
        size.add(8);
        size.opaque_var(self.data.len(), u32::MAX)?;
        size.bytes_var(&self.shared, u32::MAX)?;
        self.text.measure(size)?;
        xdr::measure_array_var(&self.numbers, size, u32::MAX)?;
        i64::measure_slice(&self.few, size)?;
        xdr::measure_list(&nodes(self), size)?;
        match &self.union {
            Choice::Word(word) => {
                size.add(4);
                word.measure(size)?;
            }
            Choice::Text(text) => {
                size.add(4);
                text.measure(size)?;
            }
            Choice::Default(_) => size.add(4),
        }
        size.nested(|size| self.below.measure(size))
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.i32(self.number);
        w.bool(self.truth);
        w.u64(self.wide);
        w.f64(self.real);
        self.quadruple.encode(w);
        w.opaque_fixed(&self.fixed);
        w.opaque_var(&self.data);
        w.bytes_var(&self.shared);
        self.text.encode(w);
        xdr::encode_array_var(&self.numbers, w);
        i64::encode_slice(&self.few, w);
        xdr::encode_list(&nodes(self), w);
        match &self.union {
            Choice::Word(word) => {
                w.i32(1);
                w.u32(*word);
            }
            Choice::Text(text) => {
                w.i32(2);
                text.encode(w);
            }
            Choice::Default(tag) => w.i32(*tag),
        }
        self.below.encode(w);
    }
}

impl<'a> Decode<'a> for All {
    const MIN_LEN: usize = 104;
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: r.i32()?,
            truth: r.bool()?,
            wide: r.u64()?,
            real: r.f64()?,
            quadruple: Quadruple::decode(r)?,
            fixed: *r.opaque_fixed()?,
            data: r.opaque_vec(1 << 20)?,
            shared: r.bytes_var(1 << 20)?,
            text: xdr::string_var(r, 255)?,
            numbers: xdr::array_var(r, u32::MAX)?,
            few: xdr::array_fixed(r)?,
            list: xdr::list::<Node>(r)?
                .into_iter()
                .map(|node| (node.0, node.1))
                .collect(),
            union: match r.i32()? {
                1 => Choice::Word(r.u32()?),
                2 => Choice::Text(Str::decode(r)?),
                tag => Choice::Default(tag),
            },
            below: r.nested(Option::decode)?,
        })
    }
}

/// Decodes and, where that succeeds, compares what it encodes to with what was read.
fn one<T: for<'a> Decode<'a> + Encode>(bytes: &[u8], limits: Limits) {
    let mut r = Reader::with_limits(bytes, limits);
    let value = match T::decode(&mut r) {
        Ok(value) => value,
        Err(error) => {
            assert!(error.offset() <= bytes.len(), "{error}");
            let _ = error.to_string();
            return;
        }
    };
    let read = &bytes[..r.position()];
    let Ok(again) = xdr::to_vec(&value) else {
        panic!("decoded, but does not encode");
    };
    assert_eq!(again.len(), read.len());
    if limits.padding == Padding::Strict {
        assert_eq!(again, read);
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&kind, bytes)) = input.split_first() else {
        return;
    };
    let padding = if kind & 1 == 0 {
        Padding::Strict
    } else {
        Padding::Compatible
    };
    let limits = Limits {
        memory: 1 << 20,
        depth: 16,
        padding,
        ..Limits::DEFAULT
    };
    match kind >> 1 & 3 {
        0 => one::<All>(bytes, limits),
        1 => one::<Option<Box<All>>>(bytes, limits),
        2 => one::<Str>(bytes, limits),
        _ => one::<Quadruple>(bytes, limits),
    }
});
