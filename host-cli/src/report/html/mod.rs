//! Reports as pages: each one file of HTML that needs nothing else, no network, no scripts.
//!
//! [`study`](mod@study) is what `emberlm report` writes, [`comparison`](mod@comparison) what `emberlm compare --html` does.
//! `page` is the frame of both, `style` its looks, `words` how text and numbers from outside come in; `plot` is the frame of
//! a chart with its `axis`, `charts` and [`scatter`](mod@scatter) what is drawn in it. Every number is of the data that JSON
//! is made of.

mod axis;
mod boards;
mod charts;
pub mod comparison;
mod heat;
mod page;
mod plot;
pub mod scatter;
pub mod study;
mod style;
mod tables;
mod words;
mod worst;

use std::io::Write;
use std::path::Path;

use crate::ground::files::output::OutputFault;
use crate::ground::files::{Kind, Output, OutputError, PAGE};

/// What pages begin with, behind the document's type.
const MARK: &str = PAGE.split_at("<!DOCTYPE html>".len()).1;

/// Whether a file is a page that this tool wrote.
pub fn is_page(path: &Path) -> bool {
    matches!(Kind::of(path), Ok(Kind::Page))
}

/// Writes a page.
///
/// # Errors
/// The file cannot be written.
pub fn write(mut output: Output, page: &str) -> Result<(), OutputError> {
    let path = output.path().to_owned();
    let written = output.file().write_all(page.as_bytes());
    written.map_err(|error| OutputError { path, fault: OutputFault::Io(error) })?;
    output.finish()
}
