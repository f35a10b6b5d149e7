//! Blobs as the converter writes them.

use std::fs;
use std::path::Path;

use emberlm::checkpoint::{self, Checkpoint};
use emberlm::convert::formats::Formats;
use emberlm::convert::{self, Beside, convert};
use emberlm::ground::files::output::is_blob;
use emberlm::ground::files::{Output, Permit};
use emberlm::text::tokenizer::SectionParts;
use emberlm_core::config::Activations;
use emberlm_core::format::Format;

use crate::aligned::AlignedBytes;
use crate::hf_writer;
use crate::oracle::Model;

/// The blob of the checkpoint in `folder`, its layout detected.
///
/// # Panics
/// If the checkpoint is refused, or the blob cannot be written.
pub fn of_checkpoint(folder: &Path, weights: Format, tokenizer: Option<SectionParts>) -> AlignedBytes {
    with(folder, weights, Beside { tokenizer, ..Beside::nothing(Activations::I16) })
}

/// The blob of the checkpoint in `folder` with all that it may have beside its weights.
///
/// # Panics
/// As [`of_checkpoint`].
pub fn with(folder: &Path, weights: Format, beside: Beside) -> AlignedBytes {
    let checkpoint = Checkpoint::open(folder, &checkpoint::Options::default()).expect("a checkpoint");
    let formats = Formats::uniform(checkpoint.config(), weights);
    let options = convert::Options { formats, windows: None, beside };
    let out = tempfile::tempdir().expect("a temporary folder");
    let path = out.path().join("model.blob");
    let output = Output::begin(&path, &Permit::default(), is_blob).expect("a folder to write to");
    convert(&checkpoint, &options, output, |_| ()).expect("a blob");
    AlignedBytes::new(&fs::read(path).expect("the blob that was written"))
}

/// The blob of `model`, by way of a checkpoint in Hugging Face's layout.
pub fn of_model(model: &Model, weights: Format, tokenizer: Option<SectionParts>) -> AlignedBytes {
    let folder = tempfile::tempdir().expect("a temporary folder");
    hf_writer::write(model, folder.path()).expect("a checkpoint that can be written");
    of_checkpoint(folder.path(), weights, tokenizer)
}
