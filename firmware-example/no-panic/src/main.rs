//! Core and the device's end of a cable, linked without a way to panic.
//!
//! The panic handler calls a function that does not exist. The linker leaves out whatever [`score`], [`go_on`],
//! [`to_tokens_and_back`] and [`over_a_cable`] cannot reach, and fails as soon as anything that they can reach may panic, in
//! core or in a crate that core uses.
#![no_std]
#![no_main]
#![allow(unsafe_code)]

use core::cfg_select;
use core::fmt::Write;
use core::panic::PanicInfo;

use emberlm_core::config::TokenId;
use emberlm_core::generate::{Generation, WhenFull};
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::loss::{CrossEntropy, Score};
use emberlm_core::model::Model;
use emberlm_core::sample::{Sampler, Settings};
use emberlm_core::score::{run_self_test, score_window};
use emberlm_core::scratch::{Batch, Scratch};
use emberlm_core::session::Session;
use emberlm_core::source::{Copying, Mapped, Source};
use emberlm_core::team::Team;
use emberlm_core::tokenizer::{Decoder, Tokenizer};
use emberlm_request::cable::{Closed, Device, Wire};
use emberlm_two_cores::TwoCores;

cfg_select! {
    feature = "cortex-m-mve" => {
        use emberlm_core::kernel::CortexMMve as Kernel;
    }
    feature = "cortex-m-dsp" => {
        use emberlm_core::kernel::CortexMDsp as Kernel;
    }
    _ => {
        use emberlm_core::kernel::Scalar as Kernel;
    }
}

/// What a program that scores brings along.
pub struct Memory<'b> {
    kv_type: KvType,
    batch: Batch,
    kv: &'b mut [u32],
    floats: &'b mut [f32],
    words: &'b mut [u32],
    tokens: &'b [TokenId],
    sinks: &'b mut [CrossEntropy],
    cores: Option<&'b TwoCores>,
}

/// The summed nll of a window, by a model that is read in place or, with a `buffer`, copied, and by one core or two:
/// whatever a scoring program does with core, from opening the blob on.
#[unsafe(no_mangle)]
pub fn score(blob: &[u8], buffer: Option<&mut [u8]>, memory: Memory<'_>) -> Option<f64> {
    match buffer {
        Some(buffer) => score_from(Copying::new(blob, buffer).ok()?, memory),
        None => score_from(Mapped::new(blob).ok()?, memory),
    }
}

fn score_from(source: impl Source, memory: Memory<'_>) -> Option<f64> {
    let Memory { kv_type, batch, kv, floats, words, tokens, sinks, cores } = memory;
    let mut model = Model::open(source).ok()?;
    model.verify_sections().ok()?;
    let config = *model.config();
    let kv = KvCache::whole(KvSize::new(kv_type, tokens.len(), batch.batch), &config, kv).ok()?;
    let scratch = Scratch::new(&config, batch, floats, words).ok()?;
    let session = Session::new(model, Kernel, kv, scratch).ok()?;
    match cores {
        Some(cores) => score_with(session.with_team(cores), tokens, sinks),
        None => score_with(session, tokens, sinks),
    }
}

fn score_with(
    mut session: Session<'_, impl Source, Kernel, impl Team>,
    tokens: &[TokenId],
    sinks: &mut [CrossEntropy],
) -> Option<f64> {
    run_self_test(&mut session, sinks).ok()?;
    let mut score = Score::new();
    score_window(&mut session, tokens, 0, sinks, |nll| score.push(nll)).ok()?;
    Some(score.sum())
}

/// Draws the tokens that follow a prompt, whatever the settings.
#[unsafe(no_mangle)]
pub fn go_on(
    session: &mut Session<'_, Mapped<'_>, Kernel>,
    settings: Settings,
    when_full: WhenFull,
    context: &mut [TokenId],
    prompt: &[TokenId],
    each: &mut dyn FnMut(TokenId) -> bool,
) -> Option<()> {
    let mut generation = Generation::new(session, Sampler::new(settings).ok()?, context, when_full).ok()?;
    generation.append(prompt).ok()?;
    while let Some(drawn) = generation.next_token().ok()? {
        if !each(drawn.token) {
            break;
        }
    }
    Some(())
}

/// Writes a text into `tokens` by a tokeniser section of any kind, and the tokens back into `out`.
#[unsafe(no_mangle)]
pub fn to_tokens_and_back(
    section: &[u8],
    n_vocab: u32,
    text: &[u8],
    tokens: &mut [TokenId],
    out: &mut dyn Write,
) -> Option<()> {
    let tokenizer = Tokenizer::open(section, n_vocab).ok()?;
    let n = tokenizer.encode_utf8(text, tokens).ok()?;
    let tokens = tokens.get(..n)?;
    let mut decoder = Decoder::after(tokenizer, tokens);
    for &token in tokens {
        decoder.push(token, out).ok()?;
    }
    decoder.finish(out).ok()
}

/// Serves a session: what the host types comes back to it.
#[unsafe(no_mangle)]
pub fn over_a_cable(device: &mut Device<&'static mut dyn Wire>) -> Result<(), Closed> {
    device.accept();
    while let Some(byte) = device.read()? {
        device.write(&[byte])?;
    }
    device.end();
    Ok(())
}

/// What the second core does, for ever.
#[unsafe(no_mangle)]
pub fn second_core(cores: &TwoCores) {
    cores.serve(|| false);
}

unsafe extern "C" {
    fn core_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    // SAFETY: nothing that links can get here.
    unsafe { core_can_panic() }
}
