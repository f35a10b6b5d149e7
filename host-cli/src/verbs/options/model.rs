//! The model that a verb is given: a blob, or a checkpoint.

use std::path::{Path, PathBuf};

use clap::Args;
use emberlm_core::config::Config;

use super::bos::ModelBos;
use crate::checkpoint::{Checkpoint, Layout, Options};
use crate::engine::Blob;
use crate::ground::files::{Kind, Wanted};
use crate::text::tokenizer::SectionParts;
use crate::verbs::console::Console;
use crate::verbs::error::Error;

/// The words that say what a checkpoint's files do not.
#[derive(Args, Clone, Debug, Default)]
pub struct RawCheckpoint {
    /// The checkpoint's layout: hf, nanogpt, scratch, neo, opt, neox, llama, qwen3, gemma3, meta, microgpt, or a name map file
    /// [default: detected]
    ///
    /// A name map is JSON that says what a model with names of its own calls each tensor:
    /// {"description": "mine", "orientation": "out_in" (Linear) or "in_out" (Conv1D), "tensors": {"wte.weight": "emb.weight",
    /// "h.{layer}.attn.c_attn.weight": "blocks.{layer}.att.qkv.weight", …}}, for wte, wpe, ln_f, lm_head and, in each block,
    /// ln_1, attn.c_attn, attn.c_proj, ln_2, mlp.c_fc and mlp.c_proj. A list of three names stands for a query, a key and a
    /// value that are stored apart, one of two for the gate and the hidden layer of a gated MLP. "lm_head_absent": "tied" says
    /// that a model without a head shares wte, "defaults": {"activation_function": "gelu", "layer_norm_epsilon": 1e-5} what the
    /// config does not say, and "skip" which buffers are no weights. What no name shows has to be said: "model_type" the
    /// family, "norms": {"kind": "rms", "scale": false, "embedding": true, …} norms elsewhere or without weights,
    /// "logit_softcap" a bound of logits, which is refused.
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<Layout>,
    /// The checkpoint's config.json [default: the one beside the tensors]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Number of heads, where no config says it
    #[arg(long, value_name = "N")]
    n_head: Option<u32>,
}

impl RawCheckpoint {
    /// What the words come to.
    pub fn options(&self) -> Options {
        Options { layout: self.layout.clone(), config: self.config.clone(), n_head: self.n_head }
    }

    /// Refuses words that a blob makes meaningless.
    ///
    /// # Errors
    /// There is one.
    fn refuse(&self) -> Result<(), Error> {
        let given = [
            ("--layout", self.layout.is_some()),
            ("--config", self.config.is_some()),
            ("--n-head", self.n_head.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => {
                Err(Error::Usage(format!("a blob says all of its shape: {option} is for a checkpoint")))
            }
            None => Ok(()),
        }
    }

    /// The files that they name.
    pub fn files(&self) -> Vec<&Path> {
        let map = match &self.layout {
            Some(Layout::Map(path)) => Some(path.as_path()),
            _ => None,
        };
        map.into_iter().chain(self.config.as_deref()).collect()
    }

    /// Opens the checkpoint at `path`, telling people what was detected and assumed.
    ///
    /// # Errors
    /// It is not a checkpoint that can be represented exactly.
    pub fn open(&self, path: &Path, console: Console) -> Result<Checkpoint, Error> {
        let checkpoint = Checkpoint::open(path, &self.options())?;
        let detected = checkpoint.layout();
        console.note(format!("layout {}: {}", detected.layout, detected.evidence));
        console.note(format!("architecture: {}", checkpoint.architecture()));
        checkpoint.notes().iter().for_each(|note| console.note(note));
        Ok(checkpoint)
    }
}

/// What a model takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Token ids are below it.
    pub n_vocab: u32,
    /// The longest window.
    pub n_ctx: u32,
    /// What texts begin with.
    pub bos: ModelBos,
}

impl Limits {
    /// Those of a blob.
    ///
    /// # Errors
    /// None, for an open blob.
    pub fn of_blob(blob: &Blob) -> Result<Self, Error> {
        let &Config { n_vocab, n_ctx, .. } = blob.model()?.config();
        Ok(Self { n_vocab, n_ctx, bos: ModelBos::of_blob(blob)? })
    }

    /// Those of a checkpoint.
    pub const fn of_checkpoint(checkpoint: &Checkpoint) -> Self {
        let &Config { n_vocab, n_ctx, .. } = checkpoint.config();
        Self { n_vocab, n_ctx, bos: ModelBos::of_checkpoint(checkpoint) }
    }
}

/// The model that a verb is given.
#[derive(Debug)]
pub enum ModelFile {
    /// Canonical arithmetic.
    Blob(Blob),
    /// The float reference.
    Checkpoint(Box<Checkpoint>),
}

impl ModelFile {
    /// Opens a checkpoint or a blob, told by what it holds, and by its name where that says nothing.
    ///
    /// # Errors
    /// It is neither.
    pub fn open(path: &Path, checkpoint: &RawCheckpoint, console: Console) -> Result<Self, Error> {
        let is_named = |endings: &[&str]| endings.iter().any(|ending| path.extension() == Some(ending.as_ref()));
        let is_checkpoint = match Kind::of(path)? {
            Kind::Blob => false,
            Kind::Unknown => is_named(&["safetensors"]),
            Kind::Json => is_named(&["json"]),
            Kind::Safetensors | Kind::ShardIndex | Kind::Llama2c | Kind::Torch => true,
            _ if path.is_dir() => true,
            other => {
                Wanted::Model.check_kind(path, other)?;
                false
            }
        };
        if is_checkpoint {
            return Ok(Self::Checkpoint(Box::new(checkpoint.open(path, console)?)));
        }
        let blob = Blob::open(path)?;
        checkpoint.refuse()?;
        Ok(Self::Blob(blob))
    }

    /// The model's shape and choices in core's words.
    ///
    /// # Errors
    /// None, after [`ModelFile::open`].
    pub fn config(&self) -> Result<Config, Error> {
        match self {
            Self::Blob(blob) => Ok(*blob.model()?.config()),
            Self::Checkpoint(checkpoint) => Ok(*checkpoint.config()),
        }
    }

    /// What the model takes.
    ///
    /// # Errors
    /// None, after [`ModelFile::open`].
    pub fn limits(&self) -> Result<Limits, Error> {
        match self {
            Self::Blob(blob) => Limits::of_blob(blob),
            Self::Checkpoint(checkpoint) => Ok(Limits::of_checkpoint(checkpoint)),
        }
    }

    /// The tokenizer in a blob's tokeniser section.
    ///
    /// # Errors
    /// The section is damaged.
    pub fn section(&self) -> Result<Option<SectionParts>, Error> {
        match self {
            Self::Blob(blob) => Ok(blob.section()?),
            Self::Checkpoint(_) => Ok(None),
        }
    }
}
