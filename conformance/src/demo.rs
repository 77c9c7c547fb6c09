//! The demo program (`conformance/idl/demo.x`) as our compiler makes it, and its server.

use farcall::stub::Registered;
use farcall::{Call, Refuse};

include!(concat!(env!("OUT_DIR"), "/demo.rs"));

/// The number of the program.
pub const NUMBER: u32 = 0x2000_0099;

/// Both versions of the program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demo;

impl v1::Server for Demo {
    async fn echo(&self, _: &Call, text: Str) -> Result<Str, Refuse> {
        Ok(text)
    }

    async fn add(&self, _: &Call, a: i32, b: i32) -> Result<i32, Refuse> {
        Ok(a.wrapping_add(b))
    }

    async fn blob(&self, _: &Call, blob: Blob) -> Result<Blob, Refuse> {
        let (h, d) = (blob.h.wrapping_add(1), blob.d * 2.0);
        Ok(Blob {
            h,
            d,
            s: Shape::Red(42),
            ..blob
        })
    }

    async fn sum(&self, _: &Call, tree: Tree) -> Result<i32, Refuse> {
        Ok(tree.sum())
    }
}

impl v2::Server for Demo {
    async fn echo2(&self, _: &Call, text: Str) -> Result<Str, Refuse> {
        Ok(text)
    }

    async fn oneway(&self, _: &Call, _: Str) -> Result<(), Refuse> {
        Err(Refuse::NoReply)
    }
}

impl Tree {
    fn sum(&self) -> i32 {
        let below = [&self.left, &self.right].into_iter().flatten();
        below.fold(self.v, |sum, tree| sum.wrapping_add(tree.sum()))
    }
}

/// Both versions, ready for a server.
pub fn services() -> [Registered; 2] {
    [v1::service(Demo), v2::service(Demo)]
}
