//! Loops over many numbers, with the widest instructions that the processor has.
//!
//! XDR's numbers are big-endian, most processors' are not, and turning round the bytes of an array
//! runs at the speed of memory only with instructions that not every processor of a family has.
//! With the feature `simd` the loop is compiled more than once and the processor is asked when the
//! program runs; without it, and on other processors, the one loop does the same. Nothing here
//! knows what the numbers are.

/// Bytes from which asking the processor is worth it.
#[cfg(feature = "simd")]
const MANY: usize = 256;

/// Runs `work`, a loop over `len` bytes that is given in full (`#[inline(always)]`).
#[cfg(feature = "simd")]
#[inline]
pub(crate) fn loop_over<R>(len: usize, work: impl FnOnce() -> R) -> R {
    match len < MANY {
        true => work(),
        false => pulp::Arch::new().dispatch(work),
    }
}

/// Runs `work`, a loop over `len` bytes.
#[cfg(not(feature = "simd"))]
#[inline]
pub(crate) fn loop_over<R>(_: usize, work: impl FnOnce() -> R) -> R {
    work()
}
