//! Unions: C706 section 14.3.8, MS-RPCE sections 2.2.4.5 and 2.2.5.3.4.4.

use farcall_wire::ndr::{
    self, ANY, Align, Plain, Shape as _, Switch, Unique, Untagged, Value as _,
};
use farcall_wire::{DecodeErrorKind, EncodeErrorKind};

use super::{NDR, hex, kind, lies, refused};

/// `[switch_type(short)] union { [case(1)] char a; [case(2)] hyper b; [case(3)]; [case(4)] long *d; }`
#[derive(Clone, Debug, PartialEq)]
enum Choice {
    A(u8),
    B(u64),
    Case3,
    D(Option<u32>),
}

impl Default for Choice {
    fn default() -> Self {
        Self::A(0)
    }
}

impl ndr::Union for Choice {
    type Tag = u16;
    const NAME: &'static str = "choice";
    const ARMS: Align = Align::new(8, 8);
    fn tag(&self) -> u16 {
        match self {
            Self::A(_) => 1,
            Self::B(_) => 2,
            Self::Case3 => 3,
            Self::D(_) => 4,
        }
    }
    fn choose(tag: u16) -> Option<Self> {
        Some(match tag {
            1 => Self::A(0),
            2 => Self::B(0),
            3 => Self::Case3,
            4 => Self::D(None),
            _ => return None,
        })
    }
    fn put_arm(&self, w: &mut ndr::Writer) -> ndr::Put {
        match self {
            Self::A(it) => it.put(w),
            Self::B(it) => it.put(w),
            Self::Case3 => Ok(()),
            Self::D(it) => Unique(Plain).put(it, w),
        }
    }
    fn put_arm_referents(&self, w: &mut ndr::Writer) -> ndr::Put {
        match self {
            Self::D(it) => Unique(Plain).put_referents(it, w),
            _ => Ok(()),
        }
    }
    fn take_arm(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take {
        match self {
            Self::A(it) => it.take(r),
            Self::B(it) => it.take(r),
            Self::Case3 => Ok(()),
            Self::D(it) => Unique(Plain).take(it, r),
        }
    }
    fn take_arm_referents(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take {
        match self {
            Self::D(it) => Unique(Plain).take_referents(it, r),
            _ => Ok(()),
        }
    }
}

#[test]
fn an_arm_is_aligned_by_itself_in_ndr_and_as_the_strictest_in_ndr64() {
    lies(Switch(1), &Choice::A(7), "0100 07", "0100 000000000000 07");
    lies(
        Switch(2),
        &Choice::B(7),
        "0200 000000000000 0700000000000000",
        "0200 000000000000 0700000000000000",
    );
    lies(Switch(3), &Choice::Case3, "0300", "0300 000000000000");
    lies(
        Switch(4),
        &Choice::D(Some(9)),
        "0400 0000 00000200 09000000",
        "0400 000000000000 0000020000000000 09000000",
    );
}

#[test]
fn without_a_discriminant_the_arm_is_alone() {
    lies(Untagged(1), &Choice::A(7), "07", "07");
    assert!(matches!(
        kind::<Choice, _>(NDR, Untagged(9), &[7]),
        DecodeErrorKind::BadDiscriminant {
            name: "choice",
            value: 9
        }
    ));
}

#[test]
fn a_discriminant_that_is_not_what_switch_is_says_is_neither_sent_nor_taken() {
    assert_eq!(
        refused(Switch(2), &Choice::A(7)),
        EncodeErrorKind::BadSwitch {
            value: 1,
            expected: 2
        }
    );
    assert_eq!(
        kind::<Choice, _>(NDR, Switch(2), &hex("0100 07")),
        DecodeErrorKind::BadSwitch {
            value: 1,
            expected: 2
        }
    );
    assert_eq!(
        kind::<Choice, _>(NDR, Switch(ANY), &hex("0500")),
        DecodeErrorKind::BadDiscriminant {
            name: "choice",
            value: 5
        }
    );
    assert_eq!(
        Switch(2).check(&Choice::A(7)),
        Err(DecodeErrorKind::BadSwitch {
            value: 1,
            expected: 2
        })
    );
}
