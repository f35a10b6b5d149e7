//! The user's files: how they are read, and what they are.
//!
//! * [`read`]: whole files of a limited size, and standard input. Only regular files are opened, so that nothing hangs.
//! * [`json`]: JSON in which no key stands twice.
//! * [`mapped`]: models, mapped into memory.
//! * [`kind`]: what a file is, told by what it holds, and what to do with it where something else is needed.
//!
//! Whatever is named on the command line or lies in a checkpoint's folder goes through here.

mod error;
pub mod json;
pub mod kind;
pub mod mapped;
pub mod read;

pub use error::{Fault, FileError};
pub use kind::{Kind, Wanted};
