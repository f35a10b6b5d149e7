//! What is reported of a blob's speed.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::text::Report;
use crate::engine::bench::{Timings, Trial};

/// How fast passes were, in tokens a second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpeedReport {
    /// The kernel that ran.
    pub kernel: &'static str,
    /// Threads that shared each pass.
    pub threads: usize,
    /// How keys and values were stored.
    pub kv: &'static str,
    /// Rounds that were timed.
    pub rounds: usize,
    /// Tokens that went through the model together, without logits.
    pub prompt: Rate,
    /// Tokens that followed one by one, each with its logits.
    pub generate: Rate,
    /// 10^9 bytes a second that as many threads read of the blob when they did nothing else.
    pub read_gigabytes_per_second: f64,
    /// 10^9 multiply-accumulates a second that as many threads made of what was in their registers; none for the portable
    /// kernel.
    pub register_gigamacs_per_second: Option<f64>,
    /// The CRC-32 that tells blobs apart, in 8 hex digits.
    pub model_crc32: String,
}

/// One kind of pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Tokens of a round.
    pub tokens: usize,
    /// The rounds' median; none where there are no tokens.
    pub tokens_per_second: Option<f64>,
    /// The slowest round.
    pub least: Option<f64>,
    /// The fastest round.
    pub most: Option<f64>,
    /// 10^9 multiply-accumulates with matrices a second, of the median.
    pub gigamacs_per_second: Option<f64>,
    /// What these are of [`SpeedReport::register_gigamacs_per_second`].
    pub share_of_registers: Option<f64>,
    /// 10^9 bytes of matrices a second, of the median, where each token reads them anew.
    pub gigabytes_per_second: Option<f64>,
    /// What these are of [`SpeedReport::read_gigabytes_per_second`].
    pub share_of_reading: Option<f64>,
}

impl SpeedReport {
    /// Of what was timed.
    pub fn new(trial: Trial, timings: &Timings, model_crc32: String) -> Self {
        let (work, giga) = (timings.work, 1e9);
        let reading = timings.read_bytes_per_second / giga;
        let registers = timings.register_macs_per_second;
        let prompt = Rate::new(trial.prompt, &timings.prompt, work.layers, registers);
        let mut generate = Rate::new(trial.generate, &timings.generate, work.layers + work.head, registers);
        let bytes = (work.layer_bytes + work.head_bytes) as f64;
        generate.gigabytes_per_second = generate.tokens_per_second.map(|rate| rate * bytes / giga);
        generate.share_of_reading =
            generate.gigabytes_per_second.map(|rate| rate / reading).filter(|share| share.is_finite());
        Self {
            kernel: trial.kernel.name(),
            threads: trial.threads,
            kv: trial.kv_type.name(),
            rounds: trial.rounds,
            prompt,
            generate,
            read_gigabytes_per_second: reading,
            register_gigamacs_per_second: timings.register_macs_per_second.map(|rate| rate / giga),
            model_crc32,
        }
    }
}

impl Rate {
    fn new(tokens: usize, rounds: &[Duration], macs: u64, registers: Option<f64>) -> Self {
        let mut rates: Vec<f64> = rounds.iter().map(|round| tokens as f64 / round.as_secs_f64()).collect();
        rates.retain(|rate| rate.is_finite() && *rate > 0.0);
        rates.sort_by(f64::total_cmp);
        // Of an even number the mean of the middle ones.
        let middle = rates.get((rates.len().max(1) - 1) / 2).zip(rates.get(rates.len() / 2));
        let median = middle.map(|(below, above)| (below + above) / 2.0);
        let macs_per_second = median.map(|rate| rate * macs as f64);
        Self {
            tokens,
            tokens_per_second: median,
            least: rates.first().copied(),
            most: rates.last().copied(),
            gigamacs_per_second: macs_per_second.map(|rate| rate / 1e9),
            share_of_registers: macs_per_second.zip(registers).map(|(rate, most)| rate / most),
            gigabytes_per_second: None,
            share_of_reading: None,
        }
    }

    fn line(&self, name: &str, text: &mut String) {
        let Some(((median, least), most)) = self.tokens_per_second.zip(self.least).zip(self.most) else { return };
        let _ = write!(text, "{name:<9} {median:.1} tokens/s ({least:.1} to {most:.1}) over {} tokens", self.tokens);
        if let Some(macs) = self.gigamacs_per_second {
            let _ = write!(text, ", {macs:.1} GMAC/s");
        }
        if let Some(share) = self.share_of_registers {
            let _ = write!(text, " ({:.0} % of the registers')", 100.0 * share);
        }
        if let Some((bytes, share)) = self.gigabytes_per_second.zip(self.share_of_reading) {
            let _ = write!(text, ", {bytes:.1} GB/s of weights ({:.0} % of the rate of reading)", 100.0 * share);
        }
        text.push('\n');
    }
}

impl Report for SpeedReport {
    fn text(&self) -> String {
        let mut text = String::new();
        self.prompt.line("prompt", &mut text);
        self.generate.line("generate", &mut text);
        let Self { kernel, threads, kv, rounds, read_gigabytes_per_second: read, .. } = self;
        if let Some(macs) = self.register_gigamacs_per_second {
            let _ = writeln!(text, "registers {macs:.1} GMAC/s by as many threads that meet no memory");
        }
        let _ = writeln!(text, "reading   {read:.1} GB/s of the blob by as many threads that do nothing else");
        let _ = writeln!(text, "kernel    {kernel}, {threads} threads, kv cache {kv}, medians of {rounds} rounds");
        text
    }
}
