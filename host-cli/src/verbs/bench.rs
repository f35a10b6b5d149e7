//! `emberlm bench`: how fast a blob is on this machine.

use std::path::PathBuf;

use clap::Args;

use super::console::Console;
use super::error::Error;
use super::options::kernel::RawKernel;
use super::options::kv::RawKv;
use super::outcome::Outcome;
use crate::engine::bench::{Trial, time};
use crate::engine::{Blob, workers};
use crate::report::SpeedReport;

/// The words after `bench`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// A blob
    blob: PathBuf,
    /// Tokens that go through the model together
    #[arg(long, value_name = "N", default_value_t = 128)]
    prompt: u32,
    /// Tokens that follow one by one
    #[arg(long, value_name = "N", default_value_t = 64)]
    generate: u32,
    /// How often both are timed, after a round that is not
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Threads that share each pass [default: as many as processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    #[command(flatten)]
    kv: RawKv,
    #[command(flatten)]
    kernel: RawKernel,
}

/// Runs the verb.
///
/// # Errors
/// The blob cannot be had, or its context is shorter than what is timed.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    let blob = Blob::open(&args.blob)?;
    let trial = Trial {
        prompt: args.prompt as usize,
        generate: args.generate as usize,
        rounds: args.rounds as usize,
        threads: args.threads.map_or_else(workers::available, usize::from),
        kv_type: args.kv.resolve(),
        kernel: args.kernel.resolve(),
    };
    if trial.prompt + trial.generate == 0 {
        return Err(Error::Usage("--prompt 0 and --generate 0 leave nothing to time".into()));
    }
    let bar = console.progress(u64::from(args.rounds) + 1, "timing");
    let timings = time(&blob, trial, &|| bar.advance(1))?;
    drop(bar);
    console.print(&SpeedReport::new(trial, &timings, blob.crc32()?))?;
    Ok(Outcome::Passed)
}
