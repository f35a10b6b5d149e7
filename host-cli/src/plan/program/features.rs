//! The features of `emberlm-core` that a program takes.

use std::collections::BTreeSet;

use emberlm_core::blob::{OpenError, Slot};
use emberlm_core::config::{Activation, Activations, Config, Gelu, KvType, NormKind, Norms, Positions};
use emberlm_core::format::Format;
use emberlm_core::planner::Run;
use emberlm_core::tokenizer::Kind;

use crate::engine::{Blob, BlobError, BlobFault};
use crate::text::tokenizer::section;

/// Names, in their order.
type Names = BTreeSet<&'static str>;

/// Those that a blob takes.
///
/// # Errors
/// Its tokeniser section is damaged.
pub fn of_blob(blob: &Blob) -> Result<Names, BlobError> {
    let mut model = blob.model()?;
    let config = *model.config();
    let mut names = of_config(&config);
    for slot in Slot::all(&config).filter(|slot| slot.is_matrix()) {
        let tensor = model.tensor(slot).map_err(|error| blob.fault(BlobFault::Open(OpenError::from(error))))?;
        names.extend(tensor.map(|tensor| of_format(tensor.format)));
    }
    names.extend(match model.head().activations {
        Activations::I16 => None,
        Activations::I8 => Some("i8-activations"),
        Activations::F32 => Some("floats"),
    });
    let tokenizer = model.tokenizer().map_err(|error| section::broken(&error))?;
    names.extend(tokenizer.filter(|it| it.kind() == Kind::ScoredBpe).map(|_| "scored-tokenizer"));
    Ok(names)
}

/// Those that a way to go through a model takes.
pub fn of_run(run: &Run) -> impl Iterator<Item = &'static str> {
    let floats = (run.kv_type != KvType::I8).then_some("float-kv");
    floats.into_iter().chain((run.batch > 1).then_some("batches"))
}

const fn of_format(format: Format) -> &'static str {
    match format {
        Format::Q8 => "q8",
        Format::Q4 => "q4",
        Format::Q6 | Format::Q5 | Format::Q3 => "two-planes",
        Format::F32 | Format::F16 => "floats",
    }
}

/// Those of a model's choices: [`Config::left_out`] asks for no other.
fn of_config(config: &Config) -> Names {
    let Norms { kind, before, after, embedding, heads, last, .. } = config.norms;
    let always = [
        match kind {
            NormKind::Layer => "layer-norm",
            NormKind::Rms => "rms-norm",
        },
        match config.positions {
            Positions::Learned => "learned-positions",
            Positions::Rotary(_) => "rotary",
        },
        match config.mlp.activation {
            Activation::Gelu(Gelu::Tanh) => "gelu-tanh",
            Activation::Gelu(Gelu::Erf) => "gelu-erf",
            Activation::Relu | Activation::ReluSquared => "relu",
            Activation::Silu => "silu",
        },
    ];
    let sometimes = [
        ("grouped-heads", config.n_kv_head != config.n_head),
        ("after-norms", after),
        ("embedding-norm", embedding),
        ("head-norms", heads),
        ("absent-norms", !before || !last),
        ("windows", config.windows.len != 0),
        ("gated-mlp", config.mlp.gated),
        ("parallel-blocks", config.parallel),
        ("embedding-scale", config.embedding_scale != 1.0),
    ];
    always.into_iter().chain(sometimes.into_iter().filter_map(|(name, is_taken)| is_taken.then_some(name))).collect()
}
