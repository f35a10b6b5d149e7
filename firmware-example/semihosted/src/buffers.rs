//! The static buffers, for models of up to the bundled ones' size and somewhat beyond.

use emberlm_core::config::TokenId;
use emberlm_core::loss::CrossEntropy;
use emberlm_firmware::{BATCH, Buffers};
use static_cell::ConstStaticCell;

static KV: ConstStaticCell<[u32; 128 * 1024]> = ConstStaticCell::new([0; _]);
static FLOATS: ConstStaticCell<[f32; 128 * 1024]> = ConstStaticCell::new([0.0; _]);
static WORDS: ConstStaticCell<[u32; 16 * 1024]> = ConstStaticCell::new([0; _]);
static TOKENS: ConstStaticCell<[TokenId; 1024 + 1]> = ConstStaticCell::new([0; _]);
static SINKS: ConstStaticCell<[CrossEntropy; BATCH]> = ConstStaticCell::new([CrossEntropy::new(0); _]);

/// The buffers; `None` when they are taken.
pub fn take() -> Option<Buffers<'static>> {
    Some(Buffers {
        kv: KV.try_take()?,
        floats: FLOATS.try_take()?,
        words: WORDS.try_take()?,
        tokens: TOKENS.try_take()?,
        sinks: SINKS.try_take()?,
    })
}
