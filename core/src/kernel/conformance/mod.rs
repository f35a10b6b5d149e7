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
mod product;
mod random;
mod vectors;

pub use product::{Inputs, Product, Width};
pub use random::Random;

use super::Kernel;
use crate::format::Format;
use core::fmt;

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

/// Where a kernel's bits are not the portable one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// In a product.
    Product {
        /// What the activations are rounded to.
        width: Width,
        /// How the weights are stored.
        format: Format,
        /// Columns.
        n_in: usize,
        /// Rows.
        n_rows: usize,
        /// Positions.
        n: usize,
    },
    /// In attention.
    Head {
        /// Lanes of the head.
        head_dim: usize,
        /// Keys, or values.
        n_rows: usize,
    },
    /// In an elementwise operation.
    Vector {
        /// Elements.
        len: usize,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the kernel's bits are not the portable one's: ")?;
        match self {
            Self::Product { width, format, n_in, n_rows, n } => {
                let (width, format) = (width.name(), format.name());
                write!(f, "{format} by {width}, {n_in} columns, {n_rows} rows, {n} positions")
            }
            Self::Head { head_dim, n_rows } => write!(f, "a head of {head_dim} lanes and {n_rows} positions"),
            Self::Vector { len } => write!(f, "a vector of {len}"),
        }
    }
}

impl core::error::Error for Mismatch {}

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

/// The bits of floats, those of all that are no number alike.
fn bits(floats: impl IntoIterator<Item = f32>) -> alloc::vec::Vec<u32> {
    floats.into_iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect()
}

#[cfg(test)]
mod tests;
