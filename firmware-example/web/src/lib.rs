//! Emberlm in a browser, or wherever WebAssembly runs.
//!
//! The module exports the library for C as it is: whoever loads it owns its memory beyond `__heap_base`, puts blob and
//! session there, and calls. Listeners are functions of whoever loads it, which it imports, since a function of
//! JavaScript has no address.
#![no_std]

#[path = "../../c-api/src/api/mod.rs"]
mod api;

use core::ffi::{c_char, c_void};
use core::ptr;

pub use api::*;
use emberlm_core::Scalar as Kernel;

#[link(wasm_import_module = "emberlm")]
unsafe extern "C" {
    /// A token that was scored.
    safe fn hear_nll(nll: f32);
    /// A token that was drawn; 0 ends the text.
    safe fn hear_token(token: u32, nll: f32) -> u32;
    /// Text that goes on.
    safe fn hear_text(text: *const c_char, bytes: usize);
}

unsafe extern "C" fn on_nll(_: *mut c_void, nll: f32) {
    hear_nll(nll);
}

unsafe extern "C" fn on_token(_: *mut c_void, token: u32, nll: f32) -> bool {
    hear_token(token, nll) != 0
}

unsafe extern "C" fn on_text(_: *mut c_void, text: *const c_char, bytes: usize) {
    hear_text(text, bytes);
}

/// `emberlm_nll`, each loss told to `hear_nll`.
///
/// # Safety
/// That of `emberlm_nll`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn web_nll(
    session: *mut emberlm_session,
    tokens: *const u32,
    n_tokens: usize,
    score: *mut emberlm_score,
) -> emberlm_status {
    // SAFETY: as the caller says.
    unsafe { emberlm_nll(session, tokens, n_tokens, 0, Some(on_nll), ptr::null_mut(), score) }
}

/// `emberlm_generate`, each token told to `hear_token` and text to `hear_text`.
///
/// # Safety
/// That of `emberlm_generate`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn web_generate(
    session: *mut emberlm_session,
    prompt: *const u32,
    n_prompt: usize,
    settings: *const emberlm_settings,
    max_tokens: usize,
) -> emberlm_status {
    let listener = emberlm_listener { context: ptr::null_mut(), token: Some(on_token), text: Some(on_text) };
    // SAFETY: as the caller says.
    unsafe { emberlm_generate(session, prompt, n_prompt, settings, max_tokens, &listener) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
