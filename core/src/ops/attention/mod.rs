//! Attention of one query over the cache, in one pass and without a row of scores.
//!
//! The softmax runs over the positions with a running reference and a running sum (Milakov and Gimelshein, 2018). The
//! reference is a power of two above every term, so that rescaling when it rises is exact.

mod blocks;
mod floats;
mod heads;
mod integers;
mod terms;

pub use blocks::{Ring, Seen};
pub use floats::{HeadOps, Query, TOGETHER, attend, attend_together};
pub use heads::{HeadRows, add_weighted_f16, add_weighted_f32, dots_f16, dots_f32, dots_i8, weigh_i8};
pub use integers::{I8Head, attend_i8};
pub use terms::{exp_terms, weigh_terms};
