//! What is compared, and where it differs.

use super::width::Width;
use crate::format::Format;
use alloc::vec::Vec;
use core::fmt;

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

/// The bits of floats, those of all that are no number alike.
pub(super) fn bits(floats: impl IntoIterator<Item = f32>) -> Vec<u32> {
    floats.into_iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect()
}
