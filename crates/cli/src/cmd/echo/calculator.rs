//! The calculator: what a server of one's own looks like.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use farcall::generated::calc::v1::Server;
use farcall::generated::calc::{
    Block, Division, DivisionResult, Numbers, Quotient, Sample, Statistics, Text,
};
use farcall::{Call, Refuse};

/// The longest that SLEEP and GRIND take, in milliseconds.
const LONGEST: u32 = 10_000;

/// A calculator with a counter.
#[derive(Debug, Default)]
pub(crate) struct Calculator {
    counter: AtomicI64,
}

impl Server for Calculator {
    async fn add(&self, _: &Call, a: i32, b: i32) -> Result<i32, Refuse> {
        Ok(a.wrapping_add(b))
    }

    async fn divide(&self, _: &Call, args: Division) -> Result<DivisionResult, Refuse> {
        Ok(divide(args))
    }

    async fn sum(&self, _: &Call, args: Numbers) -> Result<i64, Refuse> {
        Ok(args.iter().fold(0, |sum, n| sum.wrapping_add(n.value)))
    }

    async fn mean(&self, _: &Call, args: Sample) -> Result<f64, Refuse> {
        Ok(mean(&args).unwrap_or(f64::NAN))
    }

    async fn describe(&self, _: &Call, args: Sample) -> Result<Statistics, Refuse> {
        Ok(Statistics {
            count: u32::try_from(args.len()).unwrap_or(u32::MAX),
            mean: mean(&args),
            median: median(args),
        })
    }

    async fn echo(&self, _: &Call, args: Text) -> Result<Text, Refuse> {
        Ok(args)
    }

    async fn echo_block(&self, _: &Call, args: Block) -> Result<Block, Refuse> {
        Ok(args)
    }

    async fn sleep(&self, _: &Call, milliseconds: u32) -> Result<u32, Refuse> {
        let slept = milliseconds.min(LONGEST);
        tokio::time::sleep(Duration::from_millis(slept.into())).await;
        Ok(slept)
    }

    async fn count(&self, _: &Call, step: i64) -> Result<i64, Refuse> {
        let before = self.counter.fetch_add(step, Ordering::Relaxed);
        Ok(before.wrapping_add(step))
    }

    async fn grind(&self, _: &Call, milliseconds: u32) -> Result<(), Refuse> {
        std::thread::sleep(Duration::from_millis(milliseconds.min(LONGEST).into()));
        Ok(())
    }
}

fn divide(args: Division) -> DivisionResult {
    if args.divisor == 0 {
        return DivisionResult::DividedByZero;
    }
    let quotient = args.dividend.checked_div(args.divisor);
    let remainder = args.dividend.checked_rem(args.divisor);
    match quotient.zip(remainder) {
        Some((quotient, remainder)) => DivisionResult::Divided(Quotient {
            quotient,
            remainder,
        }),
        None => DivisionResult::DivisionOverflow,
    }
}

fn mean(sample: &[f64]) -> Option<f64> {
    (!sample.is_empty()).then(|| sample.iter().sum::<f64>() / sample.len() as f64)
}

fn median(mut sample: Vec<f64>) -> Option<f64> {
    sample.sort_by(f64::total_cmp);
    let middle = sample.len() / 2;
    let upper = sample.get(middle).copied()?;
    match sample.len() % 2 {
        1 => Some(upper),
        _ => Some(f64::midpoint(*sample.get(middle.checked_sub(1)?)?, upper)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_calculates() {
        let by = |dividend, divisor| divide(Division { dividend, divisor });
        let quotient = Quotient {
            quotient: -3,
            remainder: -1,
        };
        assert_eq!(by(-7, 2), DivisionResult::Divided(quotient));
        assert_eq!(by(1, 0), DivisionResult::DividedByZero);
        assert_eq!(by(i64::MIN, -1), DivisionResult::DivisionOverflow);
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[1.0, 2.0]), Some(1.5));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
