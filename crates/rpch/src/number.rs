//! Between the widths of numbers, without `as`.

/// A length in memory as one on the wire; a longer one than fits is the longest.
pub(crate) fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Milliseconds of a duration, at most what fits.
pub(crate) fn millis(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
