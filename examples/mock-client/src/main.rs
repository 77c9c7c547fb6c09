//! Code that makes calls takes the generated trait `Calls`, so that a test can answer instead of
//! a server.

use farcall::generated::rpcbind::Mapping;
use farcall::generated::rpcbind::v2::{Calls, Client};
use farcall::{Cause, Error};

/// Where a program is, by its versions from the newest to the oldest.
async fn newest(binder: &dyn Calls, prog: u32, versions: &[u32]) -> Result<Option<u32>, Error> {
    for &vers in versions {
        let port = binder
            .getport(Mapping {
                prog,
                vers,
                prot: 6,
                port: 0,
            })
            .await?;
        if port != 0 {
            return Ok(Some(port));
        }
    }
    Ok(None)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let binder = match Client::connect("tcp://127.0.0.1:111").await {
        Ok(binder) => binder,
        Err(error) if matches!(error.cause(), Cause::Io(..)) => {
            println!("there is no rpcbind on this machine ({error}); the test needs none");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    println!("NFS: {:?}", newest(&binder, 100_003, &[4, 3]).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use farcall::Calling;
    use farcall::generated::rpcbind::{CallArgs, CallResult, PmaplistPtr};

    use super::*;

    /// A binder that knows version 3 alone.
    struct OnlyThree;

    impl Calls for OnlyThree {
        fn getport(&self, asked: Mapping) -> Calling<u32> {
            Calling::ready(Ok(if asked.vers == 3 { 2049 } else { 0 }))
        }
        fn null(&self) -> Calling<()> {
            Calling::ready(Ok(()))
        }
        fn set(&self, _: Mapping) -> Calling<bool> {
            unreachable!("nothing is registered")
        }
        fn unset(&self, _: Mapping) -> Calling<bool> {
            unreachable!("nothing is unregistered")
        }
        fn dump(&self) -> Calling<PmaplistPtr> {
            unreachable!("the list is not read")
        }
        fn callit(&self, _: &CallArgs) -> Calling<CallResult> {
            unreachable!("nothing is called through it")
        }
    }

    #[tokio::test]
    async fn an_older_version_is_found_where_the_newest_is_not() {
        let found = newest(&OnlyThree, 100_003, &[4, 3, 2]).await;
        assert_eq!(found.expect("the mock answers"), Some(2049));
        let found = newest(&OnlyThree, 100_003, &[4]).await;
        assert_eq!(found.expect("the mock answers"), None);
    }
}
