//! rpcecho, the test interface of the Samba project: all ten operations.

use std::time::Duration;

use farcall::generated::rpcecho::rpcecho::{Server, TestCall2Out, TestEnumOut};
use farcall::generated::rpcecho::{
    EchoEnum1, EchoEnum2, EchoEnum3, EchoInfo, EchoInfo1, EchoInfo2, EchoInfo3, EchoInfo4,
    EchoInfo5, EchoInfo6, EchoInfo7, EchoSurrounding,
};
use farcall::{Call, Refuse};
use farcall_wire::ndr::WideStr;

/// Most bytes that are made for a caller who sends none.
const MOST: u32 = 16 << 20;

/// Longest sleep of a call.
const LONGEST: u32 = 3600;

/// `nca_s_out_args_too_big`.
const OUT_ARGS_TOO_BIG: u32 = 0x1c01_0013;

/// `nca_s_fault_invalid_tag`.
const INVALID_TAG: u32 = 0x1c00_0006;

/// The interface.
pub(crate) struct Echo;

impl Server for Echo {
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
        match len {
            0..=MOST => Ok((0..len).map(|at| at.to_le_bytes()[0]).collect()),
            _ => Err(Refuse::Fault(OUT_ARGS_TOO_BIG)),
        }
    }

    async fn test_call(&self, _: &Call, s1: WideStr) -> Result<Option<WideStr>, Refuse> {
        Ok(Some(s1))
    }

    async fn test_call2(&self, _: &Call, level: u16) -> Result<TestCall2Out, Refuse> {
        let info = info(level).ok_or(Refuse::Fault(INVALID_TAG))?;
        Ok(TestCall2Out { info, result: 0 })
    }

    async fn test_sleep(&self, _: &Call, seconds: u32) -> Result<u32, Refuse> {
        let seconds = seconds.min(LONGEST);
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
        Ok(seconds)
    }

    async fn test_enum(
        &self,
        _: &Call,
        foo1: EchoEnum1,
        foo2: EchoEnum2,
        foo3: EchoEnum3,
    ) -> Result<TestEnumOut, Refuse> {
        Ok(TestEnumOut { foo1, foo2, foo3 })
    }

    async fn test_surrounding(
        &self,
        _: &Call,
        data: EchoSurrounding,
    ) -> Result<EchoSurrounding, Refuse> {
        let twice = data.surrounding.len() * 2;
        Ok(EchoSurrounding {
            x: u32::try_from(twice).map_err(|_| Refuse::Fault(OUT_ARGS_TOO_BIG))?,
            surrounding: vec![0; twice],
        })
    }

    async fn test_double_pointer(
        &self,
        _: &Call,
        data: Option<Option<u16>>,
    ) -> Result<u16, Refuse> {
        Ok(data.flatten().unwrap_or(0))
    }
}

/// The arm of a level, filled with the numbers that other servers of the interface send.
fn info(level: u16) -> Option<EchoInfo> {
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
