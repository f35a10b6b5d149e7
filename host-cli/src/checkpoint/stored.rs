//! What a name map says beside names: how tensors are stored, and what of norms no name shows.

use emberlm_core::config::{NormKind, Norms};
use serde::Deserialize;

/// How a matrix is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// A row for each output: PyTorch's `Linear`, and the canonical form.
    OutIn,
    /// A row for each input: GPT-2's `Conv1D`.
    InOut,
}

/// What a file without a head means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadAbsent {
    /// The head shares the token embedding.
    Tied,
    /// The file lacks a tensor.
    #[default]
    Refused,
}

/// Which elements of a head rotate together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotaryPairs {
    /// Each of the first half with its like of the second: the canonical form.
    #[default]
    Halves,
    /// Each with its neighbour.
    Adjacent,
}

/// How rows of a fused projection of queries, keys and values lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QkvRows {
    /// All queries, then all keys, then all values: the canonical form.
    #[default]
    Stacked,
    /// Head by head its query, its key and its value.
    ByHead,
}

/// What a map says of norms, where it is not as in its family.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidNorms {
    kind: Option<SaidKind>,
    /// Whether they have weights.
    pub scale: Option<bool>,
    before: Option<bool>,
    after: Option<bool>,
    embedding: Option<bool>,
    heads: Option<bool>,
    last: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SaidKind {
    Layer,
    Rms,
}

impl SaidNorms {
    /// What is said, over what is not.
    pub fn over(&self, others: Norms) -> Norms {
        Norms {
            kind: match self.kind {
                Some(SaidKind::Layer) => NormKind::Layer,
                Some(SaidKind::Rms) => NormKind::Rms,
                None => others.kind,
            },
            epsilon: others.epsilon,
            before: self.before.unwrap_or(others.before),
            after: self.after.unwrap_or(others.after),
            embedding: self.embedding.unwrap_or(others.embedding),
            heads: self.heads.unwrap_or(others.heads),
            last: self.last.unwrap_or(others.last),
        }
    }
}
