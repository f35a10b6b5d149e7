//! `emberlm inspect`: what is in a blob.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::console::Console;
use super::error::Error;
use super::outcome::Outcome;
use crate::engine::Blob;
use crate::ground::shown;
use crate::report::Report;
use crate::report::contents::{Contents, contents};

/// The words after `inspect`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// The blob
    blob: PathBuf,
}

impl Report for Contents {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<12} {value}");
        };
        let c = &self.config;
        line("blob", format!("{}, {} bytes, crc32 {}", shown::message(&self.blob), self.bytes, self.model_crc32));
        line("versions", format!("format {}, arithmetic {}", self.format_version, self.arithmetic));
        line("vocabulary", format!("{} tokens, context {}", c.n_vocab, c.n_ctx));
        let shape = format!("{} layers, {} heads, n_embd {}, n_ff {}", c.n_layer, c.n_head, c.n_embd, c.n_ff);
        line("shape", shape);
        let head = if self.tied_head { "tied to wte" } else { "its own" };
        line("function", format!("{}, layer norm epsilon {:e}, head {head}", c.gelu, c.layer_norm_epsilon));
        let weights = format!("{} parameters, {:.4} bits a matrix weight", self.parameters, self.bits_per_weight);
        line("weights", format!("{weights}, activations {}", self.activations));
        line(
            "tokenizer",
            match &self.tokenizer {
                Some(t) => format!("{}, {} tokens, {} merges", t.kind, t.n_tokens, t.n_merges),
                None => "none".into(),
            },
        );
        let tokens: Vec<String> = self.self_test.tokens.iter().map(u32::to_string).collect();
        line("self-test", format!("tokens {}", tokens.join(" ")));
        for known in &self.self_test.known {
            line("", format!("nll bits {} with kv cache {}", known.nll_bits, known.kv));
        }
        text += "\noffset         bytes  format         shape  tensor\n";
        for tensor in &self.tensors {
            let shape = format!("{}x{}", tensor.rows, tensor.cols);
            let _ = writeln!(
                text,
                "{:<10} {:>9}  {:<6} {shape:>13}  {}",
                tensor.offset, tensor.bytes, tensor.format, tensor.name
            );
        }
        let tokenizer = &self.sections.tokenizer;
        if tokenizer.bytes > 0 {
            let _ = writeln!(text, "{:<10} {:>9}  {:<20}  tokenizer", tokenizer.offset, tokenizer.bytes, "");
        }
        text
    }
}

/// Runs the verb.
///
/// # Errors
/// The file is no blob of this version, or is damaged.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    console.print(&contents(&Blob::open(&args.blob)?)?)?;
    Ok(Outcome::Passed)
}
