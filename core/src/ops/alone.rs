//! Floats that stay out of vectors.
//!
//! Vectors of floats of a Cortex-M55 flush subnormal numbers, and its scalars do not. A compiler that may use both takes
//! vectors for what neighbours in an array have in common.

/// `x`, a result that has such neighbours and may be subnormal, or come of what is.
#[inline(always)]
pub fn alone(x: f32) -> f32 {
    if cfg!(flushing_vectors) { core::hint::black_box(x) } else { x }
}
