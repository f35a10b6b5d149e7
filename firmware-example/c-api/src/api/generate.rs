//! A prompt to the text that follows it.

use core::fmt;

use emberlm_core::{Decoder, Generation, Order, Sampler, Settings, WhenFull};

use super::pointer::{place, read, slice};
use super::session::{Parts, emberlm_session};
use super::status::emberlm_status::{EMBERLM_CANNOT_CONTINUE, EMBERLM_STOPPED};
use super::status::{emberlm_status, failed};
use super::types::{emberlm_listener, emberlm_settings};

/// Writes what programs start from: a temperature of 0.8 and no limit, with seed 0.
///
/// # Safety
/// `settings` is a place for them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_default_settings(settings: *mut emberlm_settings) -> emberlm_status {
    let Settings { temperature, top_k, top_p, min_p, repeat_penalty, seed } = Settings::DEFAULT;
    let top_k = top_k.unwrap_or(0) as u32;
    let defaults = emberlm_settings { temperature, top_k, top_p, min_p, repeat_penalty, seed };
    // SAFETY: `place` lets neither null nor misaligned pointers through.
    emberlm_status::of(place(settings).map(|place| unsafe { place.write(defaults) }))
}

/// Goes on with a prompt, whose tokens `emberlm_encode` made: the tokens that `emberlm generate` draws for the same seed.
/// It ends after `max_tokens`, at a token that ends a text, where the context is full, or where the listener wants no more
/// (`EMBERLM_STOPPED`). The session is reset first.
///
/// # Safety
/// `session` is a handle, or memory of its size; `prompt` is `n_prompt` tokens, `settings` and `listener` point to one
/// each; the latter's functions may not use the session, which refuses them as `EMBERLM_NOT_OPEN`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_generate(
    session: *mut emberlm_session,
    prompt: *const u32,
    n_prompt: usize,
    settings: *const emberlm_settings,
    max_tokens: usize,
    listener: *const emberlm_listener,
) -> emberlm_status {
    let generate = |parts: &mut Parts| {
        // SAFETY: as the caller says.
        let (prompt, settings, listener) = unsafe { (slice(prompt, n_prompt)?, read(settings)?, read(listener)?) };
        if parts.order == Order::LayerMajor {
            return Err(EMBERLM_CANNOT_CONTINUE);
        }
        let emberlm_settings { temperature, top_k, top_p, min_p, repeat_penalty, seed } = settings;
        let top_k = (top_k != 0).then_some(top_k as usize);
        let sampler =
            Sampler::new(Settings { temperature, top_k, top_p, min_p, repeat_penalty, seed }).map_err(failed)?;
        let mut generation =
            Generation::new(&mut parts.session, sampler, parts.context, WhenFull::Stop).map_err(failed)?;
        generation.append(prompt).map_err(failed)?;
        let mut heard = Heard(listener);
        let mut decoder = parts.tokenizer.map(|tokenizer| Decoder::after(tokenizer, prompt));
        for _ in 0..max_tokens {
            let Some(drawn) = generation.next_token().map_err(failed)? else { break };
            if parts.text.ends_with(drawn.token) {
                break;
            }
            if let Some(token) = listener.token {
                // SAFETY: the caller's own function, with what it asked for.
                if !unsafe { token(listener.context, drawn.token, drawn.nll) } {
                    return Err(EMBERLM_STOPPED);
                }
            }
            if let Some(decoder) = &mut decoder {
                decoder.push(drawn.token, &mut heard).map_err(failed)?;
            }
        }
        match &mut decoder {
            Some(decoder) => decoder.finish(&mut heard).map_err(failed),
            None => Ok(()),
        }
    };
    // SAFETY: as the caller says.
    unsafe { emberlm_session::with(session, generate) }
}

/// Text on its way to a listener.
struct Heard(emberlm_listener);

impl fmt::Write for Heard {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let Some(hear) = self.0.text.filter(|_| !text.is_empty()) {
            // SAFETY: the caller's own function, with what it asked for; the bytes are there for the call.
            unsafe { hear(self.0.context, text.as_ptr().cast(), text.len()) };
        }
        Ok(())
    }
}
