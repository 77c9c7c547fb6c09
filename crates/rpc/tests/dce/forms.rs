//! Types and calls in a form of the program's own: `represent_as` and its like, `call_as`. The bytes are those of what is
//! transmitted, and values come back from them.

use farcall::{Call, Refuse, Server};
use farcall_wire::ndr::{CallAs, Order, Reader, Represent, Syntax, Writer};
use farcall_wire::{DecodeErrorKind, EncodeError, EncodeErrorKind};

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod file {
    include!("../../../idl/fixtures/conversions.rs");
}

/// The same without anything of the program's own.
#[rustfmt::skip]
#[allow(unreachable_pub)]
mod plain {
    include!("../../../idl/fixtures/conversions_plain.rs");
}

use crate::calls::{TCP, status};
use file::conversions::{self as forms, BlockingClient, Client, GreetOut};
use file::{Counted, Person};

/// `text`: bytes with a count, behind a pointer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text(String);

impl Represent for Text {
    type Wire = Counted;

    fn to_wire(&self) -> Result<Counted, EncodeError> {
        let len = u16::try_from(self.0.len());
        Ok(Counted {
            len: len.map_err(|_| EncodeError::new(EncodeErrorKind::TooLarge))?,
            bytes: Some(self.0.clone().into_bytes()),
        })
    }

    fn from_wire(wire: Counted) -> Result<Self, DecodeErrorKind> {
        let text = String::from_utf8(wire.bytes.unwrap_or_default());
        text.map(Self).map_err(|_| DecodeErrorKind::NotUtf8)
    }
}

/// `temperature`: tenths of a degree.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Celsius(f32);

impl Represent for Celsius {
    type Wire = i16;

    fn to_wire(&self) -> Result<i16, EncodeError> {
        Ok((self.0 * 10.0).round() as i16)
    }

    fn from_wire(wire: i16) -> Result<Self, DecodeErrorKind> {
        match wire {
            -2732.. => Ok(Self(f32::from(wire) / 10.0)),
            _ => Err(DecodeErrorKind::Invalid("colder than anything")),
        }
    }
}

/// Others, each a number.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($own:ty) as $wire:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq)]
            pub(crate) struct $name($own);

            impl Represent for $name {
                type Wire = $wire;

                fn to_wire(&self) -> Result<$wire, EncodeError> {
                    <$wire>::try_from(self.0).map_err(|_| EncodeError::new(EncodeErrorKind::TooLarge))
                }

                fn from_wire(wire: $wire) -> Result<Self, DecodeErrorKind> {
                    Ok(Self(wire.into()))
                }
            }
        )*
    };
}

numbers! {
    /// `token`
    Token(u64) as u32;
    /// `stamp`
    Stamp(i128) as i64;
    /// `letter`
    Letter(char) as u8;
}

/// `Next`: called with how many rows are wanted; what comes is the rows alone, or the error.
pub(crate) struct Next;

impl CallAs for Next {
    type Call = usize;
    type Outcome = Result<Vec<i64>, i32>;
    type Arguments = u32;
    type Results = forms::NextOut;

    fn arguments(most: &usize) -> Result<u32, EncodeError> {
        u32::try_from(*most).map_err(|_| EncodeError::new(EncodeErrorKind::TooLarge))
    }

    fn outcome(results: forms::NextOut) -> Result<Self::Outcome, DecodeErrorKind> {
        match results.result {
            0 => Ok(Ok(results.rows)),
            1.. => Err(DecodeErrorKind::Invalid("a status over 0")),
            error => Ok(Err(error)),
        }
    }

    fn call(most: u32) -> Result<usize, DecodeErrorKind> {
        match most {
            ..1000 => Ok(most as usize),
            _ => Err(DecodeErrorKind::Invalid("too many rows")),
        }
    }

    fn results(outcome: Self::Outcome) -> Result<forms::NextOut, EncodeError> {
        let (rows, result) = match outcome {
            Ok(rows) => (rows, 0),
            Err(error) => (Vec::new(), error),
        };
        let got = rows.len() as u32;
        Ok(forms::NextOut { rows, got, result })
    }
}

fn text(text: &str) -> Text {
    Text(text.to_owned())
}

fn counted(text: &str) -> plain::Counted {
    plain::Counted {
        len: text.len() as u16,
        bytes: Some(text.as_bytes().to_vec()),
    }
}

const MODES: [(Syntax, Order); 4] = [
    (Syntax::Ndr, Order::Little),
    (Syntax::Ndr, Order::Big),
    (Syntax::Ndr64, Order::Little),
    (Syntax::Ndr64, Order::Big),
];

#[test]
fn values_of_ones_own_have_the_bytes_of_what_is_transmitted() {
    for (syntax, order) in MODES {
        let mut own = Writer::new(syntax, order);
        let many = vec![text("b").into(), text("").into()];
        let each = vec![Celsius(-1.5), Celsius(20.0)];
        let (who, at, ticket) = (text("a"), Celsius(36.6), Token(7));
        let perhaps = Some(text("c"));
        forms::codec::put_greet(&mut own, &who, &at, &ticket, 2, &many, &each, &perhaps).unwrap();

        let mut wire = Writer::new(syntax, order);
        plain::conversions::codec::put_greet(
            &mut wire,
            &counted("a"),
            366,
            7,
            2,
            &vec![counted("b"), counted("")],
            &vec![-15, 200],
            &Some(counted("c")),
        )
        .unwrap();
        assert_eq!(own.stub(), wire.stub(), "{syntax:?} {order:?}");

        let mut r = Reader::new(own.stub(), syntax, order);
        let read = forms::codec::take_greet(&mut r).unwrap();
        r.finish().unwrap();
        assert_eq!(read, (who, at, ticket, 2, many, each, perhaps));
    }
}

fn person() -> Person {
    Person {
        name: text("Ann").into(),
        warmth: Celsius(36.5),
        motto: Some(text("on")),
        grade: Letter('B'),
        born: Stamp(-1),
    }
}

#[test]
fn members_of_structures_wait_for_what_their_pointers_point_at() {
    for (syntax, order) in MODES {
        let own = GreetOut {
            ticket: Token(8),
            back: person(),
            result: text("hello"),
        };
        let wire = plain::conversions::GreetOut {
            ticket: 8,
            back: plain::Person {
                name: counted("Ann"),
                warmth: 365,
                motto: Some(counted("on")),
                grade: b'B',
                born: -1,
            },
            result: counted("hello"),
        };
        let (mut a, mut b) = (Writer::new(syntax, order), Writer::new(syntax, order));
        forms::codec::put_greet_reply(&mut a, &[], &own).unwrap();
        plain::conversions::codec::put_greet_reply(&mut b, &[], &wire).unwrap();
        assert_eq!(a.stub(), b.stub(), "{syntax:?} {order:?}");
        let mut r = Reader::new(a.stub(), syntax, order);
        assert_eq!(forms::codec::take_greet_reply(&mut r).unwrap(), own);
        for end in 0..a.stub().len() {
            let mut r = Reader::new(&a.stub()[..end], syntax, order);
            assert!(forms::codec::take_greet_reply(&mut r).is_err(), "{end}");
        }
    }
}

#[test]
fn what_a_program_refuses_is_an_error_of_the_message() {
    let mut w = Writer::new(Syntax::Ndr, Order::Little);
    let none = Vec::new();
    let refused = forms::codec::put_greet(
        &mut w,
        &text(&"x".repeat(70_000)),
        &Celsius(0.0),
        &Token(1),
        0,
        &Vec::new(),
        &none,
        &None,
    );
    assert_eq!(refused.unwrap_err().path(), "who");

    let mut w = Writer::new(Syntax::Ndr, Order::Little);
    let cold = plain::conversions::codec::put_greet(
        &mut w,
        &counted("a"),
        -2733,
        1,
        0,
        &Vec::new(),
        &Vec::new(),
        &None,
    );
    cold.unwrap();
    let mut r = Reader::new(w.stub(), Syntax::Ndr, Order::Little);
    let error = forms::codec::take_greet(&mut r).unwrap_err();
    assert_eq!(
        error.kind(),
        &DecodeErrorKind::Invalid("colder than anything")
    );
    assert_eq!(error.path(), "at");
}

struct Counter;

impl forms::Server for Counter {
    async fn greet(
        &self,
        _: &Call,
        who: Text,
        _: Celsius,
        ticket: Token,
        _: u32,
        _: Vec<farcall_wire::ndr::As<Text>>,
        _: Vec<Celsius>,
        _: Option<Text>,
    ) -> Result<GreetOut, Refuse> {
        Ok(GreetOut {
            ticket,
            back: person(),
            result: who,
        })
    }

    async fn next(&self, _: &Call, most: usize) -> Result<Result<Vec<i64>, i32>, Refuse> {
        Ok(match most {
            0 => Err(-5),
            most => Ok((1..=most as i64).collect()),
        })
    }
}

async fn server() -> Server {
    let builder = Server::builder()
        .serve(forms::service(Counter).allow_anonymous())
        .listen(TCP);
    builder.start().await.expect("starts")
}

#[tokio::test]
async fn callers_and_servers_see_the_local_form() {
    let server = server().await;
    let client = Client::in_process(&server).expect("connects");
    assert_eq!(client.next(&3).await.expect("rows"), Ok(vec![1, 2, 3]));
    assert_eq!(client.next(&0).await.expect("a status"), Err(-5));
    // The server's side refuses the call that came, the client's side the call that would go.
    let error = client.next(&1000).await.expect_err("too many");
    assert_eq!(status(&error), 0x6f7);
    client.next(&usize::MAX).await.expect_err("too large");

    let none = Vec::new();
    let greeting = client.greet(
        &text("you"),
        &Celsius(1.0),
        &Token(4),
        0,
        &Vec::new(),
        &none,
        &None,
    );
    let greeted = greeting.await.expect("greets");
    assert_eq!((greeted.ticket, greeted.result), (Token(4), text("you")));
    assert_eq!(greeted.back.name.0, text("Ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_blocks_sees_the_local_form_too() {
    let server = server().await;
    let endpoint = server.endpoints()[0].clone();
    let rows = tokio::task::spawn_blocking(move || {
        let client = BlockingClient::connect(&endpoint).expect("connects");
        client.next(&2)
    });
    assert_eq!(rows.await.expect("joins").expect("rows"), Ok(vec![1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_blocks_takes_options() {
    let server = server().await;
    let endpoint = server.endpoints()[0].clone();
    let options = farcall::Options {
        ndr64: false,
        ..farcall::Options::default()
    };
    let rows = tokio::task::spawn_blocking(move || {
        let client = BlockingClient::connect_with(&endpoint, options).expect("connects");
        client.next(&2)
    });
    assert_eq!(rows.await.expect("joins").expect("rows"), Ok(vec![1, 2]));
}
