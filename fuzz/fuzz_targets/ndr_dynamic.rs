//! Values without generated code: any bytes are a value or an error, in both syntaxes and both orders; what is a
//! value encodes, and the result decodes to the same value.
#![no_main]

use std::sync::LazyLock;

use farcall_idl::dynamic::ndr::Codec;
use farcall_idl::{Model, Options};
use farcall_wire::ndr::{Order, Syntax};
use libfuzzer_sys::fuzz_target;

/// Everything that a type may be made of.
const TYPES: &str = "
[uuid(12345778-1234-abcd-ef00-0123456789ab), pointer_default(unique)]
interface fuzz {
    typedef enum { RED = 1, BLUE = 2 } colour;
    typedef [context_handle] void *H;
    typedef pipe short P;
    typedef [switch_type(short)] union {
        [case(1)] long a; [case(2)] hyper b; [case(3), string] wchar_t *c; [default] ;
    } choice;
    typedef struct node { long value; struct node *next; [ptr] long *alias; } node;
    typedef struct {
        short kind; [switch_is(kind)] choice choice;
        long count; long used;
        [size_is(count), length_is(used)] short *list;
        [size_is(count)] node *nodes;
        [string] char *text; [string] wchar_t name[16];
        colour colour; [range(0, 100)] long percent; GUID id; double d; boolean yes;
        long fixed[3]; [size_is(count)] byte tail[];
    } all;
    long f([in] H h, [in] all *a, [in] long n, [in] long m, [in, size_is(n, m)] short x[][], [in] P p, [out] node **o);
}";

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let parsed = farcall_idl::parse_str("fuzz.idl", TYPES, &Options::default());
    parsed.expect("an interface").0
});

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let codec = Codec::new(&MODEL)
        .syntax(if first & 1 == 0 {
            Syntax::Ndr
        } else {
            Syntax::Ndr64
        })
        .order(if first & 2 == 0 {
            Order::Little
        } else {
            Order::Big
        });
    let (_, operation) = codec.operation("f").expect("an operation");
    match first & 12 {
        0 => {
            if let Ok(value) = codec.decode_in(operation, bytes) {
                let again = codec.encode_in(operation, &value).expect("it was decoded");
                let same = codec.decode_in(operation, &again).expect("it was encoded");
                assert_eq!(plain(same), plain(value));
            }
        }
        4 => {
            let _ = codec.decode_out(operation, bytes, None);
        }
        _ => {
            for (id, item) in MODEL.ndr().items().filter(|(_, item)| item.used) {
                let ty = farcall_idl::model::ndr::Type::Named(id);
                if let Ok(value) = codec.decode(&ty, bytes) {
                    assert!(codec.encode(&ty, &value).is_ok(), "{} {value}", item.name);
                }
            }
        }
    }
});

/// Labels of full pointers are the writer's own choice.
fn plain(value: serde_json::Value) -> String {
    let text = value.to_string();
    let mut out = String::new();
    for part in text.split("\"$id\":") {
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    let mut bare = String::new();
    for part in out.split("\"$ref\":") {
        bare.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    bare
}
