//! What a model computes, in a report's words.

use emberlm_core::config::{Config, NormKind, Norms, Positions};
use serde::Serialize;

/// What a model computes.
#[derive(Clone, Debug, Serialize)]
pub struct ArchitectureContents {
    /// Tokens.
    pub n_vocab: u32,
    /// Positions.
    pub n_ctx: u32,
    /// Width.
    pub n_embd: u32,
    /// Blocks.
    pub n_layer: u32,
    /// Heads of queries.
    pub n_head: u32,
    /// Heads of keys and values.
    pub n_kv_head: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Width of the MLP.
    pub n_ff: u32,
    /// `layer` or `rms`.
    pub norm: &'static str,
    /// Where norms are: `before` attention and MLP, `after` either, behind the `embedding`, of `heads`, `last` before the head.
    pub norm_places: Vec<&'static str>,
    /// Added to variances or means of squares.
    pub norm_epsilon: f32,
    /// Elements of a head that rotate; 0 where positions are learned.
    pub rotary_dim: u32,
    /// For each layer, the positions that a query sees; none for all of them.
    pub windows: Vec<Option<u32>>,
    /// The MLP's activation.
    pub activation: &'static str,
    /// Whether the MLP has a gate.
    pub gated: bool,
    /// Whether attention and MLP start from one input.
    pub parallel: bool,
    /// Whether the head is the token embedding.
    pub tied_head: bool,
    /// Multiplies token embeddings.
    pub embedding_scale: f32,
}

impl ArchitectureContents {
    /// What a config says, and what no config does.
    pub fn new(of: &Config, tied_head: bool) -> Self {
        Self {
            n_vocab: of.n_vocab,
            n_ctx: of.n_ctx,
            n_embd: of.n_embd,
            n_layer: of.n_layer,
            n_head: of.n_head,
            n_kv_head: of.n_kv_head,
            head_dim: of.head_dim,
            n_ff: of.n_ff,
            norm: match of.norms.kind {
                NormKind::Layer => "layer",
                NormKind::Rms => "rms",
            },
            norm_places: norm_places(&of.norms),
            norm_epsilon: of.norms.epsilon,
            rotary_dim: match of.positions {
                Positions::Learned => 0,
                Positions::Rotary(rotary) => rotary.dim,
            },
            windows: (0..of.n_layer).map(|layer| of.windows.of(layer)).collect(),
            activation: of.mlp.activation.name(),
            gated: of.mlp.gated,
            parallel: of.parallel,
            tied_head,
            embedding_scale: of.embedding_scale,
        }
    }
}

fn norm_places(norms: &Norms) -> Vec<&'static str> {
    let Norms { before, after, embedding, heads, last, .. } = *norms;
    let places = [("before", before), ("after", after), ("embedding", embedding), ("heads", heads), ("last", last)];
    places.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect()
}
