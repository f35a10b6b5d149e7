//! `emberlm init`: a randomly initialised checkpoint.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::cli::Outcome;
use crate::console::{Console, Report};
use crate::error::Error;
use crate::init::{self, InitConfig};

/// The words after `init`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// A size by name (gpt2-124m, gpt2-medium, gpt2-large, gpt2-xl, gpt-mini, gpt-micro, gpt-nano, nano-char,
    /// nano-bpe512), or a JSON file
    #[arg(long, value_name = "NAME|FILE")]
    config: String,
    /// The folder to write model.safetensors and config.json into [default: the name, or the file's]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// What the weights are drawn from: the same seed gives the same weights everywhere
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Serialize)]
struct Initialised {
    checkpoint: String,
    config: serde_json::Value,
    seed: u64,
    bytes: u64,
}

impl Report for Initialised {
    fn text(&self) -> String {
        format!("{}: {} bytes of weights, seed {}\n", self.checkpoint, self.bytes, self.seed)
    }
}

/// Runs the verb.
///
/// # Errors
/// No such configuration, or the folder cannot be written.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    let path = Path::new(&args.config);
    let (config, name) = match InitConfig::named(&args.config) {
        Some(config) => (config, args.config.as_str()),
        None if path.is_file() => {
            (InitConfig::read(path)?, path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("checkpoint"))
        }
        None => {
            let names = InitConfig::names().collect::<Vec<_>>().join(", ");
            return Err(Error::Usage(format!("--config {}: neither a file nor one of {names}", args.config)));
        }
    };
    let folder = args.output.clone().unwrap_or_else(|| PathBuf::from(name));
    let (mut bar, mut written) = (None, 0);
    init::write(&config, args.seed, &folder, &mut |done, total| {
        let bar = bar.get_or_insert_with(|| console.progress(total, "initialising"));
        bar.advance(done - written);
        written = done;
    })?;
    drop(bar);
    let checkpoint = folder.display().to_string();
    console.print(&Initialised { checkpoint, config: config.to_json(), seed: args.seed, bytes: written })?;
    Ok(Outcome::Passed)
}
