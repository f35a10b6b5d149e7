//! `emberlm init`: a randomly initialised checkpoint.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::error::Error;
use super::options::replacing::RawReplacing;
use super::outcome::Outcome;
use crate::checkpoint::init::{self, InitConfig};
use crate::ground::files::{Inputs, read};
use crate::ground::shown;
use crate::report::Report;
use crate::report::architecture::ArchitectureContents;

/// The words after `init`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// A size by name, as gpt2-124m, gpt2-medium or nano-char, or a JSON file in the keys of any layout
    #[arg(long, value_name = "NAME|FILE")]
    config: String,
    /// The folder to write [default: the config's name]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    #[command(flatten)]
    replacing: RawReplacing,
    /// Every seed is another model
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Serialize)]
struct Initialised {
    checkpoint: String,
    seed: u64,
    bytes: u64,
    config: ArchitectureContents,
    qkv_bias: bool,
    tied_head: bool,
}

impl Report for Initialised {
    fn text(&self) -> String {
        let c = &self.config;
        format!(
            "{}: {} layers, {} heads, n_embd {}, n_ff {}, {} tokens, context {}, {} bytes, seed {}\n",
            shown::message(&self.checkpoint),
            c.n_layer,
            c.n_head,
            c.n_embd,
            c.n_ff,
            c.n_vocab,
            c.n_ctx,
            self.bytes,
            self.seed
        )
    }
}

/// Runs the verb.
///
/// # Errors
/// No such config, or the checkpoint cannot be written.
pub fn run(args: RawArgs, console: Console) -> Result<Outcome, Error> {
    let (config, name) = config(&args.config)?;
    let folder = args.output.unwrap_or_else(|| name.into());
    let mut bar = None;
    let (mut shown, mut bytes) = (0, 0);
    let permit = args.replacing.permit(Inputs::default().with_file(Path::new(&args.config)));
    init::write(&config, args.seed, &folder, &permit, &mut |written, total| {
        bar.get_or_insert_with(|| console.progress(total, "initialising")).advance(written - shown);
        (shown, bytes) = (written, total);
    })?;
    drop(bar);
    console.print(&Initialised {
        checkpoint: folder.display().to_string(),
        seed: args.seed,
        bytes,
        config: ArchitectureContents::new(&config.model, config.tied),
        qkv_bias: config.qkv_bias,
        tied_head: config.tied,
    })?;
    Ok(Outcome::Passed)
}

/// The config that is called, or lies at, `name`, and what to call a folder of it.
fn config(name: &str) -> Result<(InitConfig, String), Error> {
    if let Some(config) = InitConfig::named(name) {
        return Ok((config, name.to_owned()));
    }
    let path = Path::new(name);
    if !read::is_there(path) {
        let names = InitConfig::names().collect::<Vec<_>>().join(", ");
        return Err(Error::Usage(format!("--config {} is neither a file nor one of {names}", shown::value(name))));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok((InitConfig::read(path)?, format!("{stem}-checkpoint")))
}
