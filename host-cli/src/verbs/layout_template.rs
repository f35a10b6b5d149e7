//! `emberlm convert --layout-template`: a name map to begin with.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::console::Console;
use super::error::Error;
use super::outcome::Outcome;
use crate::checkpoint::{self, NOT_FOUND, Template};
use crate::ground::files::output::{OutputError, OutputFault};
use crate::ground::files::{Output, Permit};
use crate::ground::shown;
use crate::report::Report;

/// What was written, and what is left to do.
#[derive(Serialize)]
struct Written {
    output: String,
    /// Canonical tensors that no name was found for.
    missing: Vec<String>,
    /// Names that were put nowhere, with `{layer}` for a block's number.
    left: Vec<String>,
}

impl Report for Written {
    fn text(&self) -> String {
        let list =
            |names: &[String]| names.iter().map(|name| format!("  {}\n", shown::message(name))).collect::<String>();
        let mut text = format!(
            "{}: names guessed by their words and shapes; read them before you use them\n",
            shown::message(&self.output)
        );
        if !self.missing.is_empty() {
            text += &format!("no name was found for these, \"{NOT_FOUND}\" stands for it:\n{}", list(&self.missing));
        }
        if !self.left.is_empty() {
            text += &format!("these were put nowhere; buffers belong into `skip`:\n{}", list(&self.left));
        }
        text + &format!("then: emberlm convert CHECKPOINT --layout {} -o model.blob\n", shown::message(&self.output))
    }
}

/// Writes a map of the checkpoint's names to `path`.
///
/// # Errors
/// The checkpoint cannot be read, or the file not be written.
pub fn run(checkpoint: &Path, path: &Path, permit: &Permit, console: Console) -> Result<Outcome, Error> {
    let mut output = Output::begin(path, permit, |_| false)?;
    let Template { map, missing, left } = checkpoint::template(checkpoint)?;
    let written = output.file().write_all(map.as_bytes());
    written.map_err(|error| OutputError { path: path.to_owned(), fault: OutputFault::Io(error) })?;
    output.finish()?;
    console.print(&Written { output: path.display().to_string(), missing, left })?;
    Ok(Outcome::Passed)
}
