//! `emberlm inspect`: what is in a blob or a checkpoint.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::console::Console;
use super::error::Error;
use super::options::model::{ModelFile, RawCheckpoint};
use super::outcome::Outcome;
use crate::ground::shown;
use crate::report::Report;
use crate::report::architecture::ArchitectureContents;
use crate::report::checkpoint::{CheckpointContents, checkpoint};
use crate::report::contents::{Contents, contents};

/// The words after `inspect`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// A blob, or a checkpoint: a folder, a .safetensors file, what PyTorch saved, an index of shards, or a file of llama2.c
    model: PathBuf,
    #[command(flatten)]
    checkpoint: RawCheckpoint,
}

/// The lines that say what a model computes.
fn architecture(a: &ArchitectureContents, mut line: impl FnMut(&str, String)) {
    line("vocabulary", format!("{} tokens, context {}", a.n_vocab, a.n_ctx));
    line("shape", format!("{} layers, n_embd {}, n_ff {}", a.n_layer, a.n_embd, a.n_ff));
    line("heads", format!("{} of {}, {} of keys and values", a.n_head, a.head_dim, a.n_kv_head));
    let positions = match a.rotary_dim {
        0 => "learned".to_owned(),
        rotary => format!("rotary, {rotary} of {} elements", a.head_dim),
    };
    line("positions", positions);
    let mut spans: Vec<Option<u32>> = a.windows.clone();
    spans.dedup();
    let span = |window: &Option<u32>| window.map_or_else(|| "all".to_owned(), |window| window.to_string());
    let seen = match spans.as_slice() {
        [one] => format!("{} in every layer", span(one)),
        _ => a.windows.iter().map(span).collect::<Vec<_>>().join(" "),
    };
    line("seen", seen);
    let (gated, kind) = (if a.gated { "gated " } else { "" }, a.norm);
    line("function", format!("{gated}{}, {kind} norm epsilon {:e}", a.activation, a.norm_epsilon));
    if a.norm_places != ["before", "last"] {
        line("norms", a.norm_places.join(", "));
    }
    if a.parallel {
        line("block", "attention beside the MLP".to_owned());
    }
    if a.embedding_scale != 1.0 {
        line("embedding", format!("times {}", a.embedding_scale));
    }
    line("head", if a.tied_head { "tied to wte" } else { "its own" }.to_owned());
}

impl Report for CheckpointContents {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<12} {value}");
        };
        line("checkpoint", format!("{}, layout {}", shown::message(&self.checkpoint), self.layout));
        architecture(&self.architecture, &mut line);
        line("weights", format!("{} parameters", self.parameters));
        text += "\n        shape  tensor\n";
        for tensor in &self.tensors {
            let shape = format!("{}x{}", tensor.rows, tensor.cols);
            let _ = writeln!(text, "{shape:>13}  {}", tensor.name);
        }
        text
    }
}

impl Report for Contents {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<12} {value}");
        };
        line("blob", format!("{}, {} bytes, crc32 {}", shown::message(&self.blob), self.bytes, self.model_crc32));
        line("versions", format!("format {}, arithmetic {}", self.format_version, self.arithmetic));
        architecture(&self.config, &mut line);
        if let Some(pruned) = self.pruned {
            line("vocabulary", pruned.to_string());
        }
        let weights = format!("{} parameters, {:.4} bits a matrix weight", self.parameters, self.bits_per_weight);
        line("weights", format!("{weights}, activations {}", self.activations));
        line(
            "tokenizer",
            match &self.tokenizer {
                Some(t) => {
                    let form =
                        t.normal_form.map_or_else(String::new, |form| format!(", of text in the normal form {form}"));
                    format!("{}, {} tokens, {} merges{form}", t.kind, t.n_tokens, t.n_merges)
                }
                None => "none".into(),
            },
        );
        let bos = match (self.text.bos, self.text.adds_bos) {
            (None, _) => "no token".to_owned(),
            (Some(bos), true) => format!("token {bos}, before every text"),
            (Some(bos), false) => format!("token {bos}, where it is asked for"),
        };
        let ends: Vec<String> = self.text.ends.iter().map(u32::to_string).collect();
        line("begins with", bos);
        line("ends at", if ends.is_empty() { "no token".to_owned() } else { ends.join(" ") });
        let tokens: Vec<String> = self.self_test.tokens.iter().map(u32::to_string).collect();
        line("self-test", format!("tokens {}", tokens.join(" ")));
        for known in &self.self_test.known {
            line("", format!("nll bits {} with kv cache {}", known.nll_bits, known.kv));
        }
        if self.self_test.long_tokens > 0 {
            line("", format!("and another of {} tokens", self.self_test.long_tokens));
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
/// The file is no blob of this version and no checkpoint, or is damaged.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    match ModelFile::open(&args.model, &args.checkpoint, console)? {
        ModelFile::Blob(blob) => console.print(&contents(&blob)?)?,
        ModelFile::Checkpoint(of) => console.print(&checkpoint(args.model.display().to_string(), &of))?,
    }
    Ok(Outcome::Passed)
}
