//! Shapes of the models that come with the repository, for buffers that are made when a program is built.

use emberlm_core::config::{Activation, Config, Gelu, Mlp};

/// The shape of `models/shakespeare-char`, for boards whose buffers are made for it when the program is built. Buffers
/// of a given context serve `models/shakespeare-bpe512` too, and whatever is no larger.
pub const SHAKESPEARE_CHAR: Config =
    Config { n_vocab: 65, n_ctx: 128, n_embd: 128, n_layer: 4, n_ff: 512, ..Config::GPT2 }.with_heads(4);

/// The shape of `tiny.blob`.
pub const TINY: Config = Config {
    n_vocab: 50,
    n_ctx: 16,
    n_embd: 32,
    n_layer: 2,
    n_ff: 128,
    mlp: Mlp { activation: Activation::Gelu(Gelu::Erf), gated: false },
    ..Config::GPT2
}
.with_heads(4);
