//! The user's files: how they are read and written, and what they are.
//!
//! * [`read`]: whole files of a limited size, and standard input. Only regular files are opened, so that nothing hangs.
//! * [`json`]: JSON in which no key stands twice.
//! * [`mapped`]: models, mapped into memory.
//! * [`kind`]: what a file may be, and what to do with it where something else is needed. `content` tells it by bytes,
//!   `recognise` by whatever lies at a path, and refuses it where it cannot serve.
//! * [`llama2c`]: the headers of llama2.c's files.
//! * [`output`]: what may be written, and files that appear whole or not at all, by way of [`part`]; [`identity`] tells an
//!   input by any name.
//! * [`temporary`]: folders that nobody is to find afterwards.
//!
//! Whatever is named on the command line or lies in a checkpoint's folder goes through here.

mod content;
mod error;
pub mod identity;
pub mod json;
pub mod kind;
pub mod llama2c;
pub mod mapped;
pub mod output;
pub mod part;
pub mod read;
mod recognise;
pub mod temporary;

pub use content::{PAGE, RECORDS, is_of_adapter};
pub use error::{Fault, FileError};
pub use identity::Inputs;
pub use kind::{Kind, Wanted};
pub use output::{Output, OutputError, Permit};
