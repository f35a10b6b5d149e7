//! Where a tensor lies in a file, and how its elements are stored.

use safetensors::Dtype;
use std::ops::Range;

/// How elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// One by one, in a type of safetensors.
    Plain(Dtype),
    /// As i8, row-major, and behind them an f32 for each run of so many, which it multiplies.
    Grouped(usize),
}

/// A tensor to be found in a file: its name, its shape, and where its bytes lie.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub shape: Vec<usize>,
    pub storage: Storage,
    pub bytes: Range<usize>,
}
