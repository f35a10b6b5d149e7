//! What a C program calls, and what it is handed: also in a module for WebAssembly.
//!
//! The crate around it says by which kernel: `crate::Kernel`.

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
