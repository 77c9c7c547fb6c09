//! A server of Samba's test interface (`idl/rpcecho.idl`).

use std::time::Duration;

use farcall::generated::rpcecho::{
    EchoEnum1, EchoEnum2, EchoEnum3, EchoInfo, EchoInfo1, EchoInfo2, EchoInfo3, EchoInfo4,
    EchoInfo5, EchoInfo6, EchoInfo7, EchoSurrounding, rpcecho,
};
use farcall::stub::Registered;
use farcall::{Call, Refuse};
use farcall_wire::ndr::WideStr;

/// All ten operations, as Samba's clients expect them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

/// The bytes that SourceData gives.
pub fn source(len: u32) -> Vec<u8> {
    (0..=u8::MAX)
        .cycle()
        .zip(0..len)
        .map(|(byte, _)| byte)
        .collect()
}

/// What TestCall2 gives for a level.
pub fn info(level: u16) -> Option<EchoInfo> {
    Some(match level {
        1 => EchoInfo::Info1(EchoInfo1 { v: 10 }),
        2 => EchoInfo::Info2(EchoInfo2 { v: 20 }),
        3 => EchoInfo::Info3(EchoInfo3 { v: 30 }),
        4 => EchoInfo::Info4(EchoInfo4 { v: 40 }),
        5 => EchoInfo::Info5(EchoInfo5 { v1: 50, v2: 60 }),
        6 => EchoInfo::Info6(EchoInfo6 {
            v1: 70,
            info1: EchoInfo1 { v: 80 },
        }),
        7 => EchoInfo::Info7(EchoInfo7 {
            v1: 80,
            info4: EchoInfo4 { v: 90 },
        }),
        _ => return None,
    })
}

impl rpcecho::Server for Echo {
    async fn add_one(&self, _: &Call, in_data: u32) -> Result<u32, Refuse> {
        Ok(in_data.wrapping_add(1))
    }

    async fn echo_data(&self, _: &Call, _: u32, in_data: Vec<u8>) -> Result<Vec<u8>, Refuse> {
        Ok(in_data)
    }

    async fn sink_data(&self, _: &Call, _: u32, _: Vec<u8>) -> Result<(), Refuse> {
        Ok(())
    }

    async fn source_data(&self, _: &Call, len: u32) -> Result<Vec<u8>, Refuse> {
        Ok(source(len))
    }

    async fn test_call(&self, _: &Call, s1: WideStr) -> Result<Option<WideStr>, Refuse> {
        Ok(Some(s1))
    }

    async fn test_call2(&self, _: &Call, level: u16) -> Result<rpcecho::TestCall2Out, Refuse> {
        let info = info(level).ok_or(Refuse::Fault(farcall_dce::status::INVALID_TAG))?;
        Ok(rpcecho::TestCall2Out { info, result: 0 })
    }

    async fn test_sleep(&self, _: &Call, seconds: u32) -> Result<u32, Refuse> {
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
        Ok(seconds)
    }

    async fn test_enum(
        &self,
        _: &Call,
        foo1: EchoEnum1,
        foo2: EchoEnum2,
        foo3: EchoEnum3,
    ) -> Result<rpcecho::TestEnumOut, Refuse> {
        Ok(rpcecho::TestEnumOut { foo1, foo2, foo3 })
    }

    async fn test_surrounding(
        &self,
        _: &Call,
        data: EchoSurrounding,
    ) -> Result<EchoSurrounding, Refuse> {
        let surrounding = vec![0; data.surrounding.len() * 2];
        let x = data.x.wrapping_mul(2);
        Ok(EchoSurrounding { x, surrounding })
    }

    async fn test_double_pointer(
        &self,
        _: &Call,
        data: Option<Option<u16>>,
    ) -> Result<u16, Refuse> {
        Ok(data.flatten().unwrap_or(0))
    }
}

/// The interface, ready for a server.
pub fn service() -> Registered {
    rpcecho::service(Echo)
}
