//! What is in a checkpoint.

use emberlm_core::blob::Slot;
use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::checkpoint::architecture::{Architecture, NormKind, Positions, Span};

/// A checkpoint's architecture, and its tensors in canonical form.
#[derive(Clone, Debug, Serialize)]
pub struct CheckpointContents {
    /// Its path.
    pub checkpoint: String,
    /// The layout that it is in.
    pub layout: String,
    /// What the model computes.
    pub architecture: ArchitectureContents,
    /// Weights in all tensors.
    pub parameters: u64,
    /// The tensors that there are.
    pub tensors: Vec<CanonicalTensor>,
}

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

/// A tensor in canonical form.
#[derive(Clone, Debug, Serialize)]
pub struct CanonicalTensor {
    /// Its name.
    pub name: String,
    /// Rows; 1 for a vector.
    pub rows: usize,
    /// Elements a row.
    pub cols: usize,
}

/// Everything of a checkpoint, which is called `name`.
pub fn checkpoint(name: String, of: &Checkpoint) -> CheckpointContents {
    let architecture = of.architecture();
    let tensor = |slot: Slot| {
        let (rows, cols) = architecture.shape(slot);
        CanonicalTensor { name: slot.to_string(), rows, cols }
    };
    let tensors: Vec<_> = architecture.slots().filter(|&slot| of.has(slot)).map(tensor).collect();
    CheckpointContents {
        checkpoint: name,
        layout: of.layout().layout.to_string(),
        architecture: architecture.into(),
        parameters: tensors.iter().map(|tensor| tensor.rows as u64 * tensor.cols as u64).sum(),
        tensors,
    }
}

impl From<&Architecture> for ArchitectureContents {
    fn from(of: &Architecture) -> Self {
        let window = |layer| match of.span(layer) {
            Span::All => None,
            Span::Window(window) => Some(window),
        };
        Self {
            n_vocab: of.n_vocab,
            n_ctx: of.n_ctx,
            n_embd: of.n_embd,
            n_layer: of.n_layer,
            n_head: of.n_head,
            n_kv_head: of.n_kv_head,
            head_dim: of.head_dim,
            n_ff: of.n_ff,
            norm: match of.norm.kind {
                NormKind::Layer => "layer",
                NormKind::Rms => "rms",
            },
            norm_epsilon: of.norm.epsilon,
            rotary_dim: match &of.positions {
                Positions::Learned => 0,
                Positions::Rotary(rotary) => 2 * rotary.table(0).len() as u32,
            },
            windows: (0..of.n_layer).map(window).collect(),
            activation: of.mlp.activation.name(),
            gated: of.mlp.gated,
            parallel: of.parallel,
            tied_head: of.tied,
            embedding_scale: of.embedding_scale,
        }
    }
}
