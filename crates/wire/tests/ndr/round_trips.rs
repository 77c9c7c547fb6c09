//! What is written is read again, in both syntaxes and both orders.

use farcall_wire::Str;
use farcall_wire::ndr::{
    ANY, Chunks, Conformant, ConformantString, ConformantVarying, Pipe, Plain, Shape, Span, Unique,
    WideStr,
};
use proptest::prelude::*;

use super::{MODES, put, take};

fn comes_back<T, S>(shape: S, value: &T)
where
    T: Default + PartialEq + std::fmt::Debug,
    S: Shape<T>,
{
    for mode in MODES {
        let bytes = put(mode, shape, value);
        assert_eq!(
            &take::<T, S>(mode, shape, &bytes).unwrap(),
            value,
            "{mode:?}"
        );
    }
}

proptest! {
    #[test]
    fn numbers(a: u8, b: i16, c: u32, d: i64, e: f32, f: f64) {
        comes_back(Plain, &[a, a]);
        comes_back(Plain, &[b, b]);
        comes_back(Plain, &c);
        comes_back(Plain, &d);
        for mode in MODES {
            let bytes = put(mode, Plain, &e);
            assert_eq!(take::<f32, _>(mode, Plain, &bytes).unwrap().to_bits(), e.to_bits());
            let bytes = put(mode, Plain, &f);
            assert_eq!(take::<f64, _>(mode, Plain, &bytes).unwrap().to_bits(), f.to_bits());
        }
    }

    #[test]
    fn arrays(items: Vec<u16>, wide: Vec<i64>, nested: Vec<Option<Vec<u32>>>) {
        let len = i64::try_from(items.len()).unwrap();
        comes_back(Conformant(len, Plain), &items);
        comes_back(ConformantVarying(len + 3, Span::len(len), Plain), &items);
        comes_back(Conformant(ANY, Plain), &wide);
        comes_back(Conformant(ANY, Unique(Conformant(ANY, Plain))), &nested);
        comes_back(Chunks(Plain), &Pipe(items));
    }

    #[test]
    fn strings(bytes: Vec<u8>, units: Vec<u16>, texts: Vec<Option<String>>) {
        comes_back(ConformantString(ANY), &Str::from(bytes));
        comes_back(Unique(ConformantString(ANY)), &Some(WideStr::from_units(units)));
        let texts: Vec<Option<WideStr>> = texts.into_iter().map(|it| it.map(WideStr::from)).collect();
        comes_back(Conformant(ANY, Unique(ConformantString(ANY))), &texts);
    }
}

#[test]
fn long_pipes_come_in_chunks() {
    let pipe = Pipe((0..10_000_u32).collect());
    for mode in MODES {
        let bytes = put(mode, Chunks(Plain), &pipe);
        assert_eq!(
            take::<Pipe<u32>, _>(mode, Chunks(Plain), &bytes).unwrap(),
            pipe
        );
    }
}
