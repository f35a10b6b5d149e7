use emberlm_core::config::TokenId;
use emberlm_core::loss::CrossEntropy;
use emberlm_firmware::Buffers;
use static_cell::{ConstStaticCell, StaticCell};

/// Static buffers of so many words of KV cache, floats and words of scratch memory, ids of a window with its last
/// target, and positions that go through a layer together.
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
