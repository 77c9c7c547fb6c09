//! Types that the compiler made: any bytes are a value or an error, in both syntaxes and both orders; what is a value encodes, and what
//! that decodes to encodes to the same bytes.
#![no_main]

use farcall::generated::epmapper::{EptEntryT, RpcIfId, RpcSid, TwrT};
use farcall::generated::mgmt::RpcIfIdVectorT;
use farcall::generated::rpcecho::{EchoEnum2, EchoInfo7, EchoSurrounding};
use farcall_wire::ndr::{Order, Plain, Reader, Shape, Syntax, Value, Writer};
use farcall_wire::{DecodeError, Limits};
use libfuzzer_sys::fuzz_target;

/// As a server has them.
fn limits() -> Limits {
    Limits {
        depth: 64,
        memory: 1 << 20,
        ..Limits::default()
    }
}

fn whole<T: Value>(bytes: &[u8], syntax: Syntax, order: Order) {
    let take = |bytes: &[u8]| -> Result<T, DecodeError> {
        Plain.read(&mut Reader::with_limits(bytes, syntax, order, limits()))
    };
    let Ok(value) = take(bytes) else {
        return;
    };
    let put = |value: &T| {
        let mut writer = Writer::new(syntax, order);
        Plain.put_whole(value, &mut writer).expect("it was decoded");
        writer.stub().to_vec()
    };
    let bytes = put(&value);
    let again = take(&bytes).expect("it was encoded");
    // Numbers of full pointers are given anew, so it is the bytes that stay.
    assert_eq!(put(&again), bytes);
}

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let syntax = if first & 1 == 0 {
        Syntax::Ndr
    } else {
        Syntax::Ndr64
    };
    let order = if first & 2 == 0 {
        Order::Little
    } else {
        Order::Big
    };
    match (first >> 2) & 7 {
        0 => whole::<EptEntryT>(bytes, syntax, order),
        1 => whole::<TwrT>(bytes, syntax, order),
        2 => whole::<RpcIfId>(bytes, syntax, order),
        3 => whole::<RpcSid>(bytes, syntax, order),
        4 => whole::<RpcIfIdVectorT>(bytes, syntax, order),
        5 => whole::<EchoInfo7>(bytes, syntax, order),
        6 => whole::<EchoEnum2>(bytes, syntax, order),
        _ => whole::<EchoSurrounding>(bytes, syntax, order),
    }
});
