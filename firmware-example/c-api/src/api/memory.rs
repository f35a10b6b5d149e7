//! A session's parts in one block of the caller's memory.

use emberlm_core::{Config, CrossEntropy, Need, Run, TokenId};

use super::session::emberlm_session;
use super::types::EMBERLM_ALIGNMENT;

/// Where each part lies behind the block's beginning, in bytes; `usize::MAX` of what no memory has.
pub(crate) struct Layout {
    pub need: Need,
    pub sinks: usize,
    pub kv: usize,
    pub floats: usize,
    pub words: usize,
    pub context: usize,
    pub end: usize,
}

impl Layout {
    /// What a session takes, its handle first.
    pub(crate) const fn new(config: &Config, run: Run) -> Self {
        let need = Need::new(config, run);
        let sinks = size_of::<emberlm_session>().next_multiple_of(EMBERLM_ALIGNMENT);
        let kv = behind::<CrossEntropy>(sinks, need.sinks);
        let floats = behind::<u32>(kv, need.kv_words);
        let words = behind::<f32>(floats, need.scratch.floats);
        let context = behind::<u32>(words, need.scratch.words);
        let end = behind::<TokenId>(context, run.n_ctx);
        Self { need, sinks, kv, floats, words, context, end }
    }
}

/// The first aligned place behind `n` of `T` that begin at `start`.
const fn behind<T>(start: usize, n: usize) -> usize {
    let end = start.saturating_add(n.saturating_mul(size_of::<T>()));
    if end > usize::MAX - EMBERLM_ALIGNMENT { usize::MAX } else { end.next_multiple_of(EMBERLM_ALIGNMENT) }
}

/// A part of a block, every element of it set to `value`.
///
/// # Safety
/// The `n` elements that lie `offset` bytes behind `block` are memory that is the caller's alone for `'static`, and
/// `offset` aligns them.
pub(crate) unsafe fn part<T: Copy>(block: *mut u8, offset: usize, n: usize, value: T) -> &'static mut [T] {
    // SAFETY: the caller says that the elements are there and aligned; each is written before the slice is made.
    unsafe {
        let first = block.add(offset).cast::<T>();
        for i in 0..n {
            first.add(i).write(value);
        }
        core::slice::from_raw_parts_mut(first, n)
    }
}
