//! What is reported of a loss, for machines and for people.

use std::fmt::Write;

use emberlm_core::blob::PrunedVocabulary;
use emberlm_core::loss::Score;
use emberlm_core::window::Convention;
use serde::Serialize;

use super::fault::Fault;
use super::text::Report;
use crate::ground::shown;
use crate::score::{Task, Windowing};

/// A loss and all that it takes to reproduce it: the keys that `eval` and `device score` share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LossReport {
    /// Targets scored.
    pub tokens_scored: u64,
    /// Tokens that were context only, or dropped by the convention.
    pub tokens_skipped: u64,
    /// Mean nats a token.
    pub loss: Option<f64>,
    /// `exp(loss)`.
    pub perplexity: Option<f64>,
    /// Mean bits a token.
    pub bits_per_token: Option<f64>,
    /// Bits over the UTF-8 bytes of the scored tokens, where these are known.
    pub bits_per_byte: Option<f64>,
    /// Standard error of the loss, tokens taken as independent.
    pub loss_stderr: Option<f64>,
    /// The bits of the f64 sum of the f32 losses, in 16 hex digits; only canonical arithmetic has them.
    pub nll_bits: Option<String>,
    /// How texts were cut.
    pub convention: &'static str,
    /// Context.
    pub n_ctx: usize,
    /// Tokens from one window to the next.
    pub stride: usize,
    /// Where the token that texts begin with was put.
    pub bos: &'static str,
    /// How keys and values were stored.
    pub kv: Option<&'static str>,
    /// What matrix products rounded their inputs to.
    pub activations: Option<&'static str>,
    /// Version of the arithmetic.
    pub arithmetic: Option<u16>,
    /// The CRC-32 that tells blobs apart, in 8 hex digits.
    pub model_crc32: Option<String>,
    /// The sizes of a vocabulary that was cut: the loss is over what is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned: Option<PrunedVocabulary>,
    /// Why there is no number where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// What canonical arithmetic depends on beyond blob, tokens and windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// How keys and values were stored.
    pub kv: &'static str,
    /// What matrix products rounded their inputs to.
    pub activations: &'static str,
    /// Version of the arithmetic.
    pub arithmetic: u16,
    /// The CRC-32 that tells blobs apart, in 8 hex digits.
    pub model_crc32: String,
    /// What the vocabulary was cut from; none where it is whole.
    pub pruned: Option<PrunedVocabulary>,
}

impl LossReport {
    /// The report of `score` over all of `task`; `canonical` is what the arithmetic was, where it was canonical.
    pub fn of_task(score: &Score, task: &Task, canonical: Option<Canonical>) -> Self {
        let skipped = task.input.n_tokens() as u64 - score.n();
        let report = Self::new(score, &task.windowing, skipped, task.bytes(), canonical);
        Self { error: if score.n() == 0 { Some(nothing_to_score(task)) } else { report.error }, ..report }
    }

    /// The report of `score` over windows of `windowing`, beside which `tokens_skipped` were not scored, and whose targets
    /// spell `bytes`.
    pub fn new(
        score: &Score,
        windowing: &Windowing,
        tokens_skipped: u64,
        bytes: Option<u64>,
        canonical: Option<Canonical>,
    ) -> Self {
        let loss = finite(score.mean());
        // Of a sum that is no number, nothing that follows from it is one.
        let with_loss = |value: Option<f64>| finite(value).filter(|_| loss.is_some());
        let perplexity = with_loss(score.perplexity());
        let error = match (score.n(), loss, perplexity) {
            (0, ..) => None,
            (_, None, _) => Some(Fault::new("no_loss", "the loss is not finite")),
            (_, _, None) => Some(Fault::new("no_loss", "the perplexity is beyond any f64")),
            _ => None,
        };
        let bits = canonical.as_ref().filter(|_| score.n() > 0).map(|_| format!("{:016x}", score.sum().to_bits()));
        Self {
            tokens_scored: score.n(),
            tokens_skipped,
            loss,
            perplexity,
            bits_per_token: with_loss(score.bits_per_token()),
            bits_per_byte: with_loss(bytes.and_then(|bytes| score.bits_per_byte(bytes))),
            loss_stderr: with_loss(score.stderr()),
            nll_bits: bits,
            convention: windowing.convention.name(),
            n_ctx: windowing.n_ctx,
            stride: windowing.stride(),
            bos: windowing.bos.name(),
            kv: canonical.as_ref().map(|canonical| canonical.kv),
            activations: canonical.as_ref().map(|canonical| canonical.activations),
            arithmetic: canonical.as_ref().map(|canonical| canonical.arithmetic),
            pruned: canonical.as_ref().and_then(|canonical| canonical.pruned),
            model_crc32: canonical.map(|canonical| canonical.model_crc32),
            error,
        }
    }
}

impl Report for LossReport {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: Option<String>| {
            let value = value.unwrap_or_else(|| "unknown".into());
            writeln!(text, "{name:<15} {value}").expect("a string can be written to");
        };
        let spread = self.loss_stderr.map_or_else(String::new, |stderr| format!(" ± {stderr:.6}"));
        line("loss", self.loss.map(|loss| format!("{loss:.6}{spread} nats a token")));
        line("perplexity", self.perplexity.map(|perplexity| format!("{perplexity:.4}")));
        line("bits per token", self.bits_per_token.map(|bits| format!("{bits:.6}")));
        line("bits per byte", self.bits_per_byte.map(|bits| format!("{bits:.6}")));
        if let Some(pruned) = self.pruned {
            line("vocabulary", Some(pruned.to_string()));
        }
        line("scored", Some(format!("{} tokens, {} skipped", self.tokens_scored, self.tokens_skipped)));
        let windows = format!("{}, n_ctx {}, stride {}, bos {}", self.convention, self.n_ctx, self.stride, self.bos);
        line("windows", Some(windows));
        match (self.arithmetic, self.activations, self.kv, &self.model_crc32) {
            (Some(arithmetic), Some(activations), Some(kv), Some(crc)) => {
                line("nll bits", self.nll_bits.clone());
                let parts = format!("canonical, version {arithmetic}, activations {activations}, kv cache {kv}");
                line("arithmetic", Some(parts));
                line("model crc32", Some(crc.clone()));
            }
            _ => line("arithmetic", Some("float reference".into())),
        }
        text
    }
}

/// Why no target was scored.
pub fn nothing_to_score(task: &Task) -> Fault {
    let Task { input, windowing: Windowing { convention, n_ctx, .. }, .. } = task;
    let longest = input.rows().iter().map(|row| row.tokens.len()).max().unwrap_or(0);
    let why = match input.rows() {
        _ if *convention == Convention::LlamaCpp && *n_ctx < 3 => {
            format!("`llamacpp` scores nothing in chunks of {n_ctx}: need an --n-ctx of 3 or more")
        }
        _ if *convention == Convention::LlamaCpp && longest < *n_ctx => format!(
            "`llamacpp` scores whole chunks of n_ctx {n_ctx}: need {n_ctx} tokens in a text, have {longest}; a smaller \
             --n-ctx or another --convention takes shorter texts"
        ),
        [row] if row.tokens.len() == 1 => {
            format!("{} is one token: there is nothing to predict", shown::message(&row.name))
        }
        _ => "no window has a target to score".into(),
    };
    Fault::new("nothing_to_score", why)
}

/// JSON has no number for what is not finite.
pub fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::input::Source;
    use crate::text::tokenizer::{SectionParts, Tokenizer};

    fn task(n_tokens: usize, convention: Convention, n_ctx: usize) -> Task {
        let tokenizer = Tokenizer::from_parts(SectionParts::Chars(vec!['a']), "test").unwrap();
        let input = Source::Prompt("a".repeat(n_tokens)).read(Some(&tokenizer), 1, u64::MAX).unwrap();
        Task { input, windowing: Windowing::new(convention, n_ctx), window_bytes: Some(vec![1, 2]) }
    }

    #[test]
    fn a_sum_that_is_no_number_has_no_figures() {
        for nll in [f32::INFINITY, f32::NAN] {
            let mut score = Score::new();
            [1.0, nll, 2.0].into_iter().for_each(|nll| score.push(nll));
            let report = LossReport::of_task(&score, &task(4, Convention::Disjoint, 4), None);
            let LossReport { loss, perplexity, bits_per_token, bits_per_byte, loss_stderr, .. } = report;
            assert_eq!([loss, perplexity, bits_per_token, bits_per_byte, loss_stderr], [None; 5]);
            assert_eq!(report.error.unwrap().kind, "no_loss");
        }
    }

    #[test]
    fn a_text_that_is_too_short_is_told_what_it_takes() {
        let why = |n_tokens, convention, n_ctx| nothing_to_score(&task(n_tokens, convention, n_ctx)).message;
        assert_eq!(why(1, Convention::Disjoint, 16), "the prompt is one token: there is nothing to predict");
        let short = why(9, Convention::LlamaCpp, 16);
        assert!(short.contains("need 16 tokens in a text, have 9"), "{short}");
        assert!(why(9, Convention::LlamaCpp, 2).contains("need an --n-ctx of 3 or more"));
    }
}
