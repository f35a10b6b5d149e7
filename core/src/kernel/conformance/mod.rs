//! What makes a kernel one: the portable kernel's bits in every method, on random parts and on edges.
//!
//! Behind the feature `conformance`, which needs an allocator. Programs for boards run it with their kernel, and so do the
//! tests of every other; a kernel of one's own is checked by
//! ```
//! # #[cfg(feature = "conformance")]
//! # {
//! use emberlm_core::kernel::Scalar;
//! use emberlm_core::kernel::conformance::{Random, check};
//!
//! let counts = check(&Scalar, &mut Random::default()).expect("the portable kernel's bits");
//! assert!(counts.products > 0);
//! # }
//! ```

mod heads;
mod mismatch;
mod product;
mod random;
mod vectors;
mod width;

pub use mismatch::Mismatch;
pub use product::{Inputs, Product};
pub use random::Random;
pub use width::Width;

use super::Kernel;

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Products of a matrix.
    pub products: usize,
    /// Scores and outputs of a head of attention.
    pub heads: usize,
    /// Elementwise operations.
    pub vectors: usize,
}

/// Compares a kernel with [`Portable`](super::Portable) in every method, its lanes' among them: as many products, heads and vectors for any
/// `random`, each with other numbers.
///
/// # Errors
/// A bit differs; but one number that is none may be any other.
pub fn check(kernel: &impl Kernel, random: &mut Random) -> Result<Counts, Mismatch> {
    Ok(Counts {
        products: product::check(kernel, random)?,
        heads: heads::check(kernel.lanes(), random)?,
        vectors: vectors::check(kernel.lanes(), random)?,
    })
}

#[cfg(test)]
mod tests;
