//! The host side of Emberlm: checkpoints in, blobs out, and losses from either.
//!
//! * Files: [`files`] reads and writes what the user names, and tells what it is; [`signals`] clears up.
//! * In: [`checkpoint`] reads safetensors of any known layout, [`tokenizer`] and [`input`] turn texts into rows of ids.
//! * Out: [`convert`] quantises and writes blobs, [`init`] writes checkpoints.
//! * Losses: [`reference`](mod@reference) scores a checkpoint in floats, [`engine`] and [`kernel`] run core on a blob, [`evaluate`]
//!   scores windows on all threads, [`crosscheck`] compares the two, [`comparison`] many at once, [`device`] has a board score.
//! * Text: [`generation`] has core write what follows a prompt, [`text_stream`] makes text of its bytes as they come.
//! * Memory: [`plan`] says what a model takes of a board, [`memory`] asks this machine for what a model takes here.
//! * Words from outside are shown by [`shown`], which lets nothing through that a terminal would act on.
//! * The command: [`cli`], one module a verb in [`verbs`], what they print in [`report`] and [`console`].
#![deny(unsafe_code)]

pub mod calibration;
mod checkout;
pub mod checkpoint;
pub mod cli;
mod closed;
pub mod comparison;
pub mod console;
pub mod convention;
pub mod convert;
pub mod crosscheck;
pub mod device;
pub mod engine;
pub mod error;
pub mod evaluate;
pub mod files;
pub mod generation;
pub mod init;
pub mod input;
pub mod inspect;
pub mod jobs;
pub mod kernel;
pub mod kv;
pub mod memory;
pub mod model_file;
mod named;
mod peak;
pub mod plan;
pub mod reference;
pub mod replacing;
pub mod report;
pub mod shown;
pub mod signals;
mod table;
pub mod task;
pub mod text_stream;
pub mod tokenizer;
pub mod verbs;
pub mod weights;
pub mod workers;
