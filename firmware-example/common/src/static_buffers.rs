//! Buffers that are variables of the program.

use emberlm_core::config::TokenId;
use emberlm_core::loss::CrossEntropy;
use static_cell::{ConstStaticCell, StaticCell};

use crate::Buffers;

/// Buffers that are a variable of the program. [`static_buffers!`](crate::static_buffers) names the type for what a
/// [`Need`](emberlm_core::planner::Need) says: so many words of KV cache, floats and words of scratch memory, ids of a window with its
/// last target, and positions that go through a layer together.
pub struct StaticBuffers<
    const KV: usize,
    const FLOATS: usize,
    const WORDS: usize,
    const TOKENS: usize,
    const BATCH: usize,
> {
    kv: ConstStaticCell<[u32; KV]>,
    floats: ConstStaticCell<[f32; FLOATS]>,
    words: ConstStaticCell<[u32; WORDS]>,
    tokens: ConstStaticCell<[TokenId; TOKENS]>,
    sinks: StaticCell<[CrossEntropy; BATCH]>,
}

/// The type of the [`StaticBuffers`] that a constant [`Need`](emberlm_core::planner::Need) takes.
#[macro_export]
macro_rules! static_buffers {
    ($need:expr) => {
        $crate::StaticBuffers<
            { $need.kv_words },
            { $need.scratch.floats },
            { $need.scratch.words },
            { $need.tokens },
            { $need.sinks },
        >
    };
}

impl<const KV: usize, const FLOATS: usize, const WORDS: usize, const TOKENS: usize, const BATCH: usize>
    StaticBuffers<KV, FLOATS, WORDS, TOKENS, BATCH>
{
    /// All zeros, so that they take no room in a program's file.
    pub const fn new() -> Self {
        Self {
            kv: ConstStaticCell::new([0; _]),
            floats: ConstStaticCell::new([0.0; _]),
            words: ConstStaticCell::new([0; _]),
            tokens: ConstStaticCell::new([0; _]),
            sinks: StaticCell::new(),
        }
    }

    /// The buffers; `None` when they are taken.
    pub fn take(&'static self) -> Option<Buffers<'static>> {
        Some(Buffers {
            kv: self.kv.try_take()?,
            floats: self.floats.try_take()?,
            words: self.words.try_take()?,
            tokens: self.tokens.try_take()?,
            sinks: self.sinks.try_init([CrossEntropy::new(0); _])?,
        })
    }
}

impl<const KV: usize, const FLOATS: usize, const WORDS: usize, const TOKENS: usize, const BATCH: usize> Default
    for StaticBuffers<KV, FLOATS, WORDS, TOKENS, BATCH>
{
    fn default() -> Self {
        Self::new()
    }
}
