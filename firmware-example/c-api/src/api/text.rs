//! Text to tokens and back.

use core::ffi::c_char;
use core::fmt;

use emberlm_core::Decoder;
use emberlm_core::tokenizer::EncodeError;

use super::pointer::{place, slice, slice_mut};
use super::session::{Parts, emberlm_session};
use super::status::emberlm_status::{EMBERLM_NO_TOKENIZER, EMBERLM_TOO_SMALL};
use super::status::{emberlm_status, failed};

/// Makes tokens of a text: the one that texts begin with first, where the tokenizer asks for it. `*n` is how many they are;
/// of `EMBERLM_TOO_SMALL` it is how many there must be room for to get further. Room for a token a byte and one more is
/// always enough.
///
/// # Safety
/// `session` is a handle, or memory of its size; `text` is `text_bytes` bytes, `tokens` room for `capacity` of them, and
/// `n` a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_encode(
    session: *mut emberlm_session,
    text: *const c_char,
    text_bytes: usize,
    tokens: *mut u32,
    capacity: usize,
    n: *mut usize,
) -> emberlm_status {
    let encode = |parts: &mut Parts| {
        let place = place(n)?;
        // SAFETY: as the caller says.
        let (text, tokens) = unsafe { (slice(text.cast::<u8>(), text_bytes)?, slice_mut(tokens, capacity)?) };
        let tokenizer = parts.tokenizer.ok_or(EMBERLM_NO_TOKENIZER)?;
        let n_bos = usize::from(parts.text.adds_bos);
        let need = |n: usize| {
            // SAFETY: `place` is neither null nor misaligned.
            unsafe { place.write(n) };
        };
        let Some((bos, rest)) = tokens.split_at_mut_checked(n_bos) else {
            need(1);
            return Err(EMBERLM_TOO_SMALL);
        };
        bos.fill(parts.text.bos);
        let encoded = tokenizer.encode_utf8(text, rest).map_err(|error| {
            if let EncodeError::TooManyTokens { need: tokens, .. } = error {
                need(tokens.saturating_add(n_bos));
            }
            failed(error)
        })?;
        need(encoded + n_bos);
        Ok(())
    };
    // SAFETY: as the caller says.
    unsafe { emberlm_session::with(session, encode) }
}

/// Makes text of tokens, as if they were a whole one: `*n` is how many bytes of UTF-8 it has, without a 0 at the end, also
/// where there is no room for them (`EMBERLM_TOO_SMALL`).
///
/// # Safety
/// `session` is a handle, or memory of its size; `tokens` are `n_tokens`, `text` is room for `capacity` bytes, and `n` a
/// place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_decode(
    session: *mut emberlm_session,
    tokens: *const u32,
    n_tokens: usize,
    text: *mut c_char,
    capacity: usize,
    n: *mut usize,
) -> emberlm_status {
    let decode = |parts: &mut Parts| {
        let place = place(n)?;
        // SAFETY: as the caller says.
        let (tokens, text) = unsafe { (slice(tokens, n_tokens)?, slice_mut(text.cast::<u8>(), capacity)?) };
        let mut decoder = Decoder::new(parts.tokenizer.ok_or(EMBERLM_NO_TOKENIZER)?);
        let mut out = Room { bytes: text, n: 0 };
        for &token in tokens {
            decoder.push(token, &mut out).map_err(failed)?;
        }
        decoder.finish(&mut out).map_err(failed)?;
        // SAFETY: `place` is neither null nor misaligned.
        unsafe { place.write(out.n) };
        if out.n > capacity { Err(EMBERLM_TOO_SMALL) } else { Ok(()) }
    };
    // SAFETY: as the caller says.
    unsafe { emberlm_session::with(session, decode) }
}

/// Text that is written as far as there is room, and counted.
struct Room<'t> {
    bytes: &'t mut [u8],
    n: usize,
}

impl fmt::Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = self.bytes.get_mut(self.n..).unwrap_or_default();
        free.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
        self.n = self.n.saturating_add(text.len());
        Ok(())
    }
}
