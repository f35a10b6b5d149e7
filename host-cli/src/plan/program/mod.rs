//! What a program for one model has to say: to the compiler, to Cargo, and of its buffers.

mod features;
mod literal;

use std::fmt::Write;

use emberlm_core::config::Config;
use emberlm_core::planner::{Need, Run};

use super::cores::Core;
use crate::engine::{Blob, BlobError};

/// A program that scores with a blob and goes on with texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// What it runs on.
    pub core: &'static Core,
    /// The model.
    pub config: Config,
    /// How tokens go through it.
    pub run: Run,
    /// What that takes.
    pub need: Need,
    /// The features of `emberlm-core` that it cannot do without, in the order of names.
    pub features: Vec<&'static str>,
}

impl Program {
    /// The program for a blob.
    ///
    /// # Errors
    /// The blob's tokeniser section is damaged.
    pub fn new(blob: &Blob, core: &'static Core, run: Run) -> Result<Self, BlobError> {
        let config = *blob.model()?.config();
        let mut features = features::of_blob(blob)?;
        features.extend(features::of_run(&run));
        features.extend(core.feature);
        Ok(Self { core, config, run, need: Need::new(&config, run), features: features.into_iter().collect() })
    }

    /// The line for the table `[dependencies]` of `Cargo.toml`.
    pub fn dependency(&self) -> String {
        let (version, _) = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap_or((env!("CARGO_PKG_VERSION"), ""));
        let features = quoted(&self.features);
        format!("emberlm-core = {{ version = \"{version}\", default-features = false, features = [{features}] }}")
    }

    /// A file of Rust that has its constants, and says in comments how to build what takes them. `of` names the model.
    pub fn source(&self, of: &str) -> String {
        let Self { core, config, run, need, .. } = self;
        let mut text = format!("//! {of}, on {}: what `emberlm inspect --rust` prints of it.\n", core.name);
        let mut file = |place: &str, lines: &[String]| {
            let lines: String = lines.iter().map(|line| format!("//! {line}\n")).collect();
            let _ = write!(text, "//!\n//! In {place}:\n//!\n//! ```toml\n{lines}//! ```\n");
        };
        file("`Cargo.toml`, below `[dependencies]`", &[self.dependency()]);
        let mut build = vec!["[build]".to_owned(), format!("target = \"{}\"", core.target)];
        if !core.rustflags.is_empty() {
            build.push(format!("rustflags = [{}]", quoted(core.rustflags)));
        }
        file("`.cargo/config.toml`", &build);
        let _ = write!(text, "\n{}", literal::imports(config));
        let _ = write!(text, "\n/// The core's kernel.\npub use emberlm_core::{} as Kernel;\n", core.kernel);
        let _ = write!(text, "\n/// What the model computes.\n#[rustfmt::skip]\n");
        let _ = writeln!(text, "pub const CONFIG: Config = {};", literal::config(config));
        let kv = literal::kv_type(run.kv_type);
        let _ = write!(
            text,
            "\n/// How tokens go through it, one by one: to score, and to go on with a text.\n\
             pub const RUN: Run = Run::new(Order::TokenMajor, {kv}, {});\n",
            run.n_ctx
        );
        let _ = write!(
            text,
            "\n/// Bytes: {} in all, of which KV cache {}, scratch {} and {}.\n\
             pub const NEED: Need = Need::new(&CONFIG, RUN);\n",
            need.bytes(),
            need.kv_bytes(),
            size_of::<f32>() * need.scratch.floats,
            size_of::<u32>() * need.scratch.words,
        );
        text
    }
}

/// Words as an array has them.
fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}
