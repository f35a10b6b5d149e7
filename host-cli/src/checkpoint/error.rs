//! Why a checkpoint is refused: one line that names the file, the key or the tensor.

use crate::ground::files::{Fault, FileError};
use crate::ground::shown;
use emberlm_core::config::ConfigError;
use std::path::PathBuf;
use thiserror::Error;

/// A checkpoint that cannot be represented exactly in meaning.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file could not be read, or is something else.
    #[error(transparent)]
    File(#[from] FileError),
    /// The path holds no checkpoint.
    #[error("{}: {}", shown::path(path), shown::message(why))]
    NoCheckpoint {
        /// The file or folder.
        path: PathBuf,
        /// What was looked for.
        why: String,
    },
    /// A safetensors header that is damaged or does not cover its file.
    #[error("{}: damaged safetensors file: {}", shown::path(path), shown::message(why))]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A llama2.c file whose header does not describe it.
    #[error("{}: llama2.c checkpoint: {}", shown::path(path), shown::message(why))]
    Llama2c {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file of PyTorch that is damaged, or holds more than tensors and plain data.
    #[error("{}: PyTorch checkpoint: {}", shown::path(path), shown::message(why))]
    Torch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A shard index that is damaged or disagrees with its shards.
    #[error("{}: {}", shown::path(path), shown::message(why))]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A configuration file that is not a JSON object.
    #[error("{}: {}", shown::path(path), shown::message(why))]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A configuration key whose value is unknown, unsupported or in conflict.
    #[error("config key `{}`: {}", shown::value(key), shown::message(why))]
    Key {
        /// The key as the file spells it.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something that neither the configuration nor the shapes say.
    #[error("`{key}` is not known: {}", shown::message(why))]
    MissingKey {
        /// Our name of the quantity.
        key: &'static str,
        /// Where it can be said.
        why: String,
    },
    /// Counts that no model can have.
    #[error("the checkpoint's config is invalid: {0}")]
    Config(#[from] ConfigError),
    /// No built-in layout has these names.
    #[error(
        "no known layout has a tensor named `{}`: name the tensors in a map file and pass it with --layout FILE; \
         `convert --layout-template -o FILE` writes one to begin with",
        shown::value(tensor)
    )]
    UnknownLayout {
        /// A tensor that is in none of them.
        tensor: String,
    },
    /// A name map that is damaged or incomplete.
    #[error("name map {}: {}", shown::path(path), shown::message(why))]
    NameMap {
        /// The map file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A tensor that the model needs.
    #[error("tensor `{}` is missing{}", shown::value(tensor), shown::message(hint))]
    Missing {
        /// Its name in the file.
        tensor: String,
        /// More that helps, beginning with its own punctuation; may be empty.
        hint: String,
    },
    /// A tensor of another shape.
    #[error("tensor `{}` has another shape: need {need}, have {}", shown::value(tensor), shape(have))]
    Shape {
        /// Its name in the file.
        tensor: String,
        /// The shape, or the shapes, that it may have.
        need: String,
        /// The shape that it has.
        have: Vec<usize>,
    },
    /// A configuration key that disagrees with a tensor's shape.
    #[error(
        "config key `{}` is {}, but tensor `{}` {have}",
        shown::value(key),
        shown::value(value),
        shown::value(tensor)
    )]
    Disagree {
        /// The key as the file spells it.
        key: String,
        /// Its value.
        value: String,
        /// The tensor's name in the file.
        tensor: String,
        /// What the tensor says, as the end of a sentence.
        have: String,
    },
    /// A tensor that the layout does not know.
    #[error(
        "tensor `{}` is left over: the layout does not know it; where it is a weight, a name map can say which \
         (--layout FILE), and where it is a buffer, a map's `skip` leaves it out",
        shown::value(tensor)
    )]
    Leftover {
        /// Its name in the file.
        tensor: String,
    },
    /// A weight that is not a number or infinite.
    #[error("tensor `{}` holds {value} at index {index}", shown::value(tensor))]
    NotFinite {
        /// Its name in the file.
        tensor: String,
        /// The element, counted row-major from 0 as the file stores it.
        index: usize,
        /// The value.
        value: f32,
    },
    /// An element type other than f32, f16 and bf16.
    #[error("tensor `{}` has unsupported type {dtype} (f32, f16 and bf16 are known)", shown::value(tensor))]
    Dtype {
        /// Its name in the file.
        tensor: String,
        /// The type as safetensors spells it.
        dtype: String,
    },
    /// A head that the configuration calls tied, with weights of its own.
    #[error("tensor `{}` differs from `{}`, but {}", shown::value(tensor), shown::value(wte), shown::message(why))]
    HeadNotTied {
        /// The head's name in the file.
        tensor: String,
        /// The embedding's name in the file.
        wte: String,
        /// What calls it tied.
        why: String,
    },
}

impl CheckpointError {
    /// What is wrong with a file of JSON: its `damage`, where it can be read.
    pub(super) fn of_json(error: FileError, damage: impl FnOnce(PathBuf, String) -> Self) -> Self {
        match error.fault {
            Fault::Json(why) => damage(error.path, why),
            fault => Self::File(FileError { fault, ..error }),
        }
    }

    /// A stable word for the kind of refusal, for reports that machines read.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::NoCheckpoint { .. } => "no_checkpoint",
            Self::Header { .. } => "safetensors_header",
            Self::Llama2c { .. } => "llama2c",
            Self::Torch { .. } => "torch",
            Self::Index { .. } => "shard_index",
            Self::ConfigFile { .. } => "config_file",
            Self::Key { .. } => "config_key",
            Self::MissingKey { .. } => "config_missing",
            Self::Config(_) => "config_invalid",
            Self::UnknownLayout { .. } => "unknown_layout",
            Self::NameMap { .. } => "name_map",
            Self::Missing { .. } => "tensor_missing",
            Self::Shape { .. } => "tensor_shape",
            Self::Disagree { .. } => "config_disagrees",
            Self::Leftover { .. } => "tensor_leftover",
            Self::NotFinite { .. } => "tensor_not_finite",
            Self::Dtype { .. } => "tensor_dtype",
            Self::HeadNotTied { .. } => "head_not_tied",
        }
    }
}

/// A shape, whose dimensions may be any number.
fn shape(dimensions: &[usize]) -> String {
    const MOST: usize = 8;
    match dimensions.get(..MOST) {
        Some(first) if dimensions.len() > MOST => format!("{first:?} and {} more", dimensions.len() - MOST),
        _ => format!("{dimensions:?}"),
    }
}
