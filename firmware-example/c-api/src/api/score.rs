//! Tokens to logits and to losses.

use core::ffi::c_void;

use emberlm_core::sink::Dense;
use emberlm_core::{Score, score_window};

use super::pointer::{place, slice, slice_mut};
use super::session::{Parts, emberlm_session};
use super::status::emberlm_status::{EMBERLM_EMPTY, EMBERLM_TOO_SMALL};
use super::status::{emberlm_status, failed};
use super::types::{emberlm_nll_listener, emberlm_score};

/// Takes tokens on from where the session is, and writes the logits of the last one, `n_vocab` of them; `logits` may be
/// null, with `n_logits` 0, where they are not wanted. After an error the session may have taken some of the tokens:
/// `emberlm_n_past` tells.
///
/// # Safety
/// `session` is a handle, or memory of its size; `tokens` are `n_tokens`, and `logits` room for `n_logits`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_forward(
    session: *mut emberlm_session,
    tokens: *const u32,
    n_tokens: usize,
    logits: *mut f32,
    n_logits: usize,
) -> emberlm_status {
    let forward = |parts: &mut Parts| {
        // SAFETY: as the caller says.
        let (tokens, logits) = unsafe { (slice(tokens, n_tokens)?, slice_mut(logits, n_logits)?) };
        let session = &mut parts.session;
        if n_logits != 0 && n_logits < session.config().n_vocab as usize {
            return Err(EMBERLM_TOO_SMALL);
        }
        let window = session.batch().window.max(1);
        let mut last = 0;
        for tokens in tokens.chunks(window) {
            session.forward(tokens).map_err(failed)?;
            last = tokens.len();
        }
        if last == 0 {
            return Err(EMBERLM_EMPTY);
        }
        if n_logits != 0 {
            session.head(last - 1, &mut [Dense(logits)]).map_err(failed)?;
        }
        Ok(())
    };
    // SAFETY: as the caller says.
    unsafe { emberlm_session::with(session, forward) }
}

/// Scores one window from position 0: `tokens` are its inputs and, last, the final target. `score` gets the sum over the
/// targets of inputs `first_scored` and later, and their number; `each`, if not null, hears them one by one. Losses
/// before an error have been heard. The session is reset first and keeps the window.
///
/// # Safety
/// `session` is a handle, or memory of its size; `tokens` are `n_tokens`, and `score` is a place for the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_nll(
    session: *mut emberlm_session,
    tokens: *const u32,
    n_tokens: usize,
    first_scored: usize,
    each: emberlm_nll_listener,
    context: *mut c_void,
    score: *mut emberlm_score,
) -> emberlm_status {
    let nll = |parts: &mut Parts| {
        let place = place(score)?;
        // SAFETY: as the caller says.
        let tokens = unsafe { slice(tokens, n_tokens) }?;
        let mut score = Score::new();
        score_window(&mut parts.session, tokens, first_scored, parts.sinks, |nll| {
            score.push(nll);
            if let Some(each) = each {
                // SAFETY: the caller's own function, with what it asked for.
                unsafe { each(context, nll) };
            }
        })
        .map_err(failed)?;
        // SAFETY: `place` is neither null nor misaligned.
        unsafe { place.write(emberlm_score { nll: score.sum(), n: score.n() }) };
        Ok(())
    };
    // SAFETY: as the caller says.
    unsafe { emberlm_session::with(session, nll) }
}

/// Forgets every position: what follows begins a text.
///
/// # Safety
/// `session` is a handle, or memory of its size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_reset(session: *mut emberlm_session) -> emberlm_status {
    let reset = |parts: &mut Parts| {
        parts.session.reset();
        Ok(())
    };
    // SAFETY: as the caller says.
    unsafe { emberlm_session::with(session, reset) }
}

/// Says how many positions the session has taken.
///
/// # Safety
/// `session` is a handle, or memory of its size, and `n` a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_n_past(session: *mut emberlm_session, n: *mut usize) -> emberlm_status {
    let n_past = |parts: &mut Parts| {
        let place = place(n)?;
        // SAFETY: `place` is neither null nor misaligned.
        unsafe { place.write(parts.session.n_past()) };
        Ok(())
    };
    // SAFETY: as the caller says.
    unsafe { emberlm_session::with(session, n_past) }
}
