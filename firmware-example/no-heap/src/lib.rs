//! Core, linked without a heap.
//!
//! A static library has to be complete: when any crate in it uses `alloc` and none provides an allocator, rustc refuses
//! to build it. So this one builds for a target only as long as core and the request need neither `std` nor a heap.
#![no_std]

use core::fmt::Write;
use core::panic::PanicInfo;

use emberlm_core::config::TokenId;
use emberlm_core::generate::{Generation, WhenFull};
use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::loss::{CrossEntropy, Score};
use emberlm_core::model::Model;
use emberlm_core::sample::{Sampler, Settings};
use emberlm_core::score::score_window;
use emberlm_core::scratch::{Batch, Scratch};
use emberlm_core::session::Session;
use emberlm_core::source::{Copying, Mapped, Source};
use emberlm_core::tokenizer::Decoder;
use emberlm_request::Request;
use emberlm_two_cores::TwoCores;

/// The summed nll in nats of the request's first row, one window, by a model that is read in place.
pub fn nll_mapped(blob: &[u8], request: &[u8], memory: Memory<'_>) -> Option<f64> {
    nll(Mapped::new(blob).ok()?, request, memory)
}

/// The same by a model that is read through a buffer.
pub fn nll_copied(blob: &[u8], buffer: &mut [u8], request: &[u8], memory: Memory<'_>) -> Option<f64> {
    nll(Copying::new(blob, buffer).ok()?, request, memory)
}

/// Writes a text into `tokens` by the blob's tokeniser, and the tokens back into `out`.
pub fn to_tokens_and_back(blob: &[u8], text: &[u8], tokens: &mut [TokenId], out: &mut dyn Write) -> Option<()> {
    let tokenizer = Model::open(Mapped::new(blob).ok()?).ok()?.tokenizer().ok()??;
    let n = tokenizer.encode_utf8(text, tokens).ok()?;
    let mut decoder = Decoder::new(tokenizer);
    for &token in tokens.get(..n)? {
        decoder.push(token, out).ok()?;
    }
    decoder.finish(out).ok()
}

/// The token that is drawn after a prompt, from a context of as many positions as there is memory for tokens.
pub fn next_token(blob: &[u8], prompt: &[TokenId], settings: Settings, memory: Memory<'_>) -> Option<TokenId> {
    let model = Model::open(Mapped::new(blob).ok()?).ok()?;
    let config = *model.config();
    let kv = KvCache::whole(KvSize::new(KvType::F32, memory.tokens.len(), 1), &config, memory.kv).ok()?;
    let scratch = Scratch::new(&config, Batch::of(1), memory.floats, memory.words).ok()?;
    let mut session = Session::new(model, Portable, kv, scratch).ok()?;
    let sampler = Sampler::new(settings).ok()?;
    let mut generation = Generation::new(&mut session, sampler, memory.tokens, WhenFull::Slide(1)).ok()?;
    generation.append(prompt).ok()?;
    Some(generation.next_token().ok()??.token)
}

/// The buffers of a session, and of a window's tokens.
pub struct Memory<'b> {
    /// The KV cache.
    pub kv: &'b mut [u32],
    /// The scratch memory's floats.
    pub floats: &'b mut [f32],
    /// The scratch memory's words.
    pub words: &'b mut [u32],
    /// The inputs and the last target.
    pub tokens: &'b mut [TokenId],
    /// Who shares the work.
    pub cores: &'b TwoCores,
}

fn nll(source: impl Source, request: &[u8], memory: Memory<'_>) -> Option<f64> {
    let model = Model::open(source).ok()?;
    let request = Request::decode(request).ok()?;
    let config = *model.config();
    let n = request.rows().next()?.read(0, memory.tokens);
    let tokens = memory.tokens.get(..n)?;
    let kv = KvCache::whole(KvSize::new(request.header().kv_type, n, 1), &config, memory.kv).ok()?;
    let scratch = Scratch::new(&config, Batch::of(1), memory.floats, memory.words).ok()?;
    let mut session = Session::new(model, Portable, kv, scratch).ok()?.with_team(memory.cores);
    let mut score = Score::new();
    score_window(&mut session, tokens, 0, &mut [CrossEntropy::new(0)], |nll| score.push(nll)).ok()?;
    Some(score.sum())
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    loop {}
}
