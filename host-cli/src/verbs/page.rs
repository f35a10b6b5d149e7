//! `emberlm page`: a page with a model inside.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use emberlm_core::config::TokenId;
use serde::Serialize;

use super::console::Console;
use super::error::Error;
use super::options::replacing::RawReplacing;
use super::outcome::Outcome;
use crate::engine::Blob;
use crate::ground::files::output::{self, OutputError, OutputFault};
use crate::ground::files::{Inputs, Output};
use crate::ground::shown;
use crate::page::{MARK, MODULE, page};
use crate::report::Report;

/// What the page begins with where the model's tokenizer can say it.
const PROMPT: &str = "Once upon a time there was a king";

/// The words after `page`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// The blob inside it [default: none, the page asks for one]
    blob: Option<PathBuf>,
    /// The HTML file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The text that it begins with [default: some words, where the model has tokens for them]
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    #[command(flatten)]
    replacing: RawReplacing,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    output: String,
    output_bytes: usize,
    blob: Option<String>,
    blob_bytes: usize,
    module_bytes: usize,
}

impl Report for Written {
    fn text(&self) -> String {
        let inside = self.blob.as_ref().map_or_else(
            || "a model's place, empty".into(),
            |blob| format!("{} of {} bytes", shown::message(blob), self.blob_bytes),
        );
        format!(
            "{}: {} bytes, with {inside} and a module of {} bytes: open it in a browser, no server is needed\n",
            shown::message(&self.output),
            self.output_bytes,
            self.module_bytes
        )
    }
}

/// Whether a file is a page that this tool wrote.
fn is_ours(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1024).read_to_end(&mut start));
    read.is_ok() && start.windows(MARK.len()).any(|bytes| bytes == MARK.as_bytes())
}

/// Runs the verb.
///
/// # Errors
/// The file is no blob, or the output cannot be written.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    let permit = args.replacing.permit(args.blob.iter().fold(Inputs::default(), |inputs, blob| inputs.with_file(blob)));
    output::check(&args.output, &permit, is_ours)?;
    let blob = args.blob.as_deref().map(Blob::open).transpose()?;
    let bytes = blob.as_ref().map_or(&[][..], |blob| blob.file.bytes());
    let name =
        args.blob.as_deref().and_then(Path::file_name).map(|name| shown::message(&name.to_string_lossy()).to_string());
    let title = name.as_deref().unwrap_or("emberlm");
    let prompt = match (&args.prompt, &blob) {
        (Some(prompt), _) => prompt,
        (None, Some(blob)) if has_tokens(blob, PROMPT)? => PROMPT,
        _ => "",
    };
    let html = page(bytes, title, prompt);
    let mut output = Output::begin(&args.output, &permit, is_ours)?;
    let written = output.file().write_all(html.as_bytes());
    written.map_err(|error| OutputError { path: args.output.clone(), fault: OutputFault::Io(error) })?;
    output.finish()?;
    console.print(&Written {
        output: args.output.display().to_string(),
        output_bytes: html.len(),
        blob: args.blob.as_ref().map(|blob| blob.display().to_string()),
        blob_bytes: bytes.len(),
        module_bytes: MODULE.len(),
    })?;
    Ok(Outcome::Passed)
}

/// Whether the blob's own tokenizer can say a text.
fn has_tokens(blob: &Blob, text: &str) -> Result<bool, Error> {
    let model = blob.model()?;
    let mut tokens: Vec<TokenId> = vec![0; text.len() + 1];
    Ok(matches!(model.tokenizer(), Ok(Some(tokenizer)) if tokenizer.encode(text, &mut tokens).is_ok()))
}
