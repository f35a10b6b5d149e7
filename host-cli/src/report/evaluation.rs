//! What is reported of a run over texts, or of a part of one.

use std::fmt::Write;

use emberlm_core::loss::Score;
use serde::Serialize;

use super::loss::{LossReport, finite};
use super::text::Report;
use crate::ground::shown;
use crate::score::records::{Header, Part};

/// A loss, and what it is of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The loss of all.
    #[serde(flatten)]
    pub loss: LossReport,
    /// The texts that were read from files, in the order given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<TextLoss>,
    /// What part of the run this is, where it is not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<PartReport>,
}

/// The loss of one text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextLoss {
    /// The files that it was read from, by name.
    pub files: Vec<String>,
    /// Its targets.
    pub tokens_scored: u64,
    /// Mean nats a token.
    pub loss: Option<f64>,
}

/// Which windows of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// Which shard, from 1.
    pub shard: u32,
    /// How many shards there are.
    pub shards: u32,
    /// The first window, from 0.
    pub first_window: usize,
    /// How many windows.
    pub windows: usize,
    /// Windows of the whole run.
    pub windows_of_run: usize,
}

impl Evaluation {
    /// Of texts by their files, and what each came to.
    pub fn new(
        loss: LossReport,
        files: impl IntoIterator<Item = Vec<String>>,
        scores: &[Score],
        part: Option<PartReport>,
    ) -> Self {
        let text = |(files, score): (Vec<String>, &Score)| TextLoss {
            files,
            tokens_scored: score.n(),
            loss: finite(score.mean()),
        };
        let texts = files.into_iter().zip(scores).map(text).filter(|text| !text.files.is_empty()).collect();
        Self { loss, texts, part }
    }
}

impl From<&Header> for PartReport {
    fn from(header: &Header) -> Self {
        let Part { shard, first_window, windows, .. } = header.part;
        Self { shard, shards: header.run.shards, first_window, windows, windows_of_run: header.run.windows }
    }
}

impl Report for Evaluation {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            writeln!(text, "{name:<15} {value}").expect("a string can be written to");
        };
        if let Some(part) = &self.part {
            let PartReport { shard, shards, first_window, windows, windows_of_run } = part;
            let which = match windows {
                0 => format!("none of the {windows_of_run} windows"),
                n => format!("windows {} to {} of {windows_of_run}", first_window + 1, first_window + n),
            };
            line("part", format!("shard {shard}/{shards}, {which}; `emberlm merge` joins all"));
        }
        text += &self.loss.text();
        // One file is what the user just named.
        if self.texts.iter().map(|text| text.files.len()).sum::<usize>() > 1 {
            for TextLoss { files, tokens_scored, loss } in &self.texts {
                let loss = loss.map_or_else(|| "no loss".into(), |loss| format!("{loss:.6} nats a token"));
                let files = files.iter().map(|file| shown::message(file).to_string()).collect::<Vec<_>>().join(" and ");
                let _ = writeln!(text, "{:<15} {files}: {tokens_scored} tokens scored, {loss}", "text");
            }
        }
        text
    }
}
