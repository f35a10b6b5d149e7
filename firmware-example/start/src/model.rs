//! The model in model.blob, crc32 692861f8, on cortex-m4f: what `emberlm inspect --rust` prints of it.
//!
//! In `Cargo.toml`, below `[dependencies]`:
//!
//! ```toml
//! emberlm-core = { version = "0.1", default-features = false, features = ["cortex-m-dsp", "float-kv", "gelu-tanh", "layer-norm", "learned-positions", "q8"] }
//! ```
//!
//! In `.cargo/config.toml`:
//!
//! ```toml
//! [build]
//! target = "thumbv7em-none-eabihf"
//! rustflags = ["-Ctarget-cpu=cortex-m4"]
//! ```

use emberlm_core::{Config, KvType, Need, Order, Run};

/// The core's kernel.
pub use emberlm_core::CortexMDsp as Kernel;

/// What the model computes.
#[rustfmt::skip]
pub const CONFIG: Config = Config {
    n_vocab: 27, n_ctx: 48, n_embd: 32, n_layer: 1, n_ff: 32,
    n_head: 2, n_kv_head: 2, head_dim: 16,
    ..Config::GPT2
};

/// How tokens go through it, one by one: to score, and to go on with a text.
pub const RUN: Run = Run::new(Order::TokenMajor, KvType::F32, 48);

/// Bytes: 13208 in all, of which KV cache 12288, scratch 612 and 80.
pub const NEED: Need = Need::new(&CONFIG, RUN);
