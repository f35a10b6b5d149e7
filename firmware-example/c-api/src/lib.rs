//! Emberlm for programs in C.
//!
//! `include/emberlm.h` is made of what is public here. Everything lives in memory that the caller owns: a session and all
//! that it works with is put into one block, whose size [`emberlm_session_bytes`] tells. Each pointer is checked for being
//! null and for its alignment, each length against what is needed, and each handle for having been opened; that memory is
//! there, as long as said and nobody else's meanwhile, is the caller's word.
//!
//! No call unwinds into C: the library is built with `panic = "abort"`, and on microcontrollers a program that is linked
//! with it contains no way to panic.
#![no_std]

mod generate;
mod memory;
mod open;
mod pointer;
mod score;
mod session;
mod status;
mod text;
mod types;

pub use generate::{emberlm_default_settings, emberlm_generate};
pub use open::{emberlm_inspect, emberlm_open, emberlm_self_test, emberlm_session_bytes};
pub use score::{emberlm_forward, emberlm_n_past, emberlm_nll, emberlm_reset};
pub use session::emberlm_session;
pub use status::{emberlm_status, emberlm_status_text};
pub use text::{emberlm_decode, emberlm_encode};
pub use types::{
    EMBERLM_ALIGNMENT, EMBERLM_KV_F16, EMBERLM_KV_F32, EMBERLM_KV_I8, EMBERLM_LAYER_MAJOR, EMBERLM_NO_TOKEN,
    EMBERLM_TOKEN_MAJOR, emberlm_listener, emberlm_model, emberlm_nll_listener, emberlm_run, emberlm_score,
    emberlm_settings,
};

#[cfg(feature = "no-panic")]
unsafe extern "C" {
    fn emberlm_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    #[cfg(feature = "no-panic")]
    // SAFETY: nothing that links can get here.
    unsafe {
        emberlm_can_panic()
    }
    #[cfg(not(feature = "no-panic"))]
    loop {
        core::hint::spin_loop();
    }
}
