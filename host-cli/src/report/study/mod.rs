//! A checkpoint and blobs that were made from it, looked at from all sides: what `emberlm report` finds out, as data, of
//! which JSON and page are made.

mod passage;
mod subject;
mod tensors;
mod worst;

use std::path::Path;

use emberlm_core::blob::PrunedVocabulary;
use emberlm_core::loss::Score;
use serde::Serialize;

use super::contents;
use super::fault::Fault;
use super::loss::{LossReport, finite, nothing_to_score};
use crate::engine::BlobError;
use crate::score::crosscheck::{Scored, summarize};
use crate::score::distribution::{histogram, percentile};
use crate::score::positions::by_position;
use crate::score::stages::{StageError, Stages};
use crate::score::{Job, Place};
pub use passage::{Passage, PassageToken};
pub use subject::{Findings, Subject};
pub use tensors::TensorChange;
pub use worst::Worst;

/// Everything that was found out.
#[derive(Clone, Debug, Serialize)]
pub struct Study {
    /// The checkpoint's path.
    pub checkpoint: String,
    /// What it computes, in words.
    pub architecture: String,
    /// The files of the texts.
    pub texts: Vec<String>,
    /// Targets scored.
    pub tokens_scored: u64,
    /// Tokens that were context only, or dropped by the convention.
    pub tokens_skipped: u64,
    /// How texts were cut.
    pub convention: &'static str,
    /// Context.
    pub n_ctx: usize,
    /// Tokens from one window to the next.
    pub stride: usize,
    /// Where the token that texts begin with was put.
    pub bos: &'static str,
    /// How the blobs' keys and values were stored.
    pub kv: &'static str,
    /// What the blobs' vocabulary was cut from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned: Option<PrunedVocabulary>,
    /// What the checkpoint's softmax is over, where that is not all of its vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub softmax: Option<&'static str>,
    /// The checkpoint's float reference.
    pub reference: ReferenceLoss,
    /// The blobs, in the order given.
    pub blobs: Vec<BlobStudy>,
    /// The beginning of what was scored; none where nothing was.
    pub passage: Option<Passage>,
    /// Losses by what a target is predicted from.
    pub positions: Vec<PositionSpan>,
    /// How many divergences are of which size.
    pub divergences: Vec<DivergenceBin>,
    /// What fits where.
    pub boards: Vec<BoardFit>,
    /// Why there are no numbers where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// The loss of a float reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ReferenceLoss {
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
}

/// A blob beside its checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct BlobStudy {
    /// Its path.
    pub blob: String,
    /// What charts call it.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Stored bits a weight over all matrices and embeddings, scales and padding included.
    pub bits_per_weight: f64,
    /// The formats of its matrices, by how many weights are in each, most first.
    pub formats: Vec<&'static str>,
    /// What `emberlm eval` says of it.
    pub evaluation: LossReport,
    /// How it differs from the reference.
    pub divergence: DivergenceReport,
    /// The targets that diverge most, the worst first.
    pub worst: Vec<Worst>,
    /// What the weights of its parts cost; none where its head is tied and the checkpoint's is not, or the other way round.
    pub stages: Option<StagesReport>,
    /// Its tensors beside the checkpoint's, in the order of the table.
    pub tensors: Vec<TensorChange>,
}

/// How a blob's distributions differ from the reference's, as `emberlm verify` and `emberlm compare` measure it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DivergenceReport {
    /// Mean of the blob's loss minus the reference's, in nats.
    pub delta_nll: Option<f64>,
    /// Standard error of that mean, targets taken as independent pairs.
    pub delta_nll_stderr: Option<f64>,
    /// Kullback-Leibler divergence of the blob from the reference: mean, in nats.
    pub kl_mean: Option<f64>,
    /// The least divergence that 50 of 100 targets do not exceed.
    pub kl_p50: Option<f64>,
    /// 90 of 100.
    pub kl_p90: Option<f64>,
    /// 99 of 100.
    pub kl_p99: Option<f64>,
    /// The largest.
    pub kl_max: Option<f64>,
    /// Share of targets where both find the same token most likely.
    pub top1_agreement: Option<f64>,
    /// The largest difference of a logit.
    pub max_logit_error: Option<f64>,
    /// Root mean square of the blob's probability of the target minus the reference's.
    pub target_probability_rms: Option<f64>,
}

/// What the weights of a model's parts cost, in floats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StagesReport {
    /// Positions that were looked at.
    pub positions: u64,
    /// Mean divergence, in nats, of the checkpoint with all of the blob's weights.
    pub kl_all: Option<f64>,
    /// The parts, in the order in which a token passes them.
    pub stages: Vec<StageReport>,
}

/// What the weights of one part cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageReport {
    /// The part.
    pub stage: String,
    /// Mean divergence, in nats, of the checkpoint with the blob's weights in this part alone.
    pub kl_alone: Option<f64>,
    /// The residual stream's error behind this part over the stream, root mean squares, with the blob's weights up to here;
    /// none of the head, behind which there is no stream.
    pub stream_error: Option<f64>,
}

/// Targets that are predicted from `first` to `last` tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PositionSpan {
    /// The fewest tokens before a target.
    pub first: usize,
    /// The most.
    pub last: usize,
    /// How many targets.
    pub tokens: u64,
    /// The reference's mean loss in nats.
    pub loss_checkpoint: Option<f64>,
    /// Each blob's.
    pub losses: Vec<Option<f64>>,
    /// Each blob's mean divergence in nats.
    pub kl_means: Vec<Option<f64>>,
}

/// How many divergences lie in `from .. to`, in nats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DivergenceBin {
    /// The least that counts.
    pub from: f64,
    /// What is too large.
    pub to: f64,
    /// Each blob's targets.
    pub counts: Vec<u64>,
}

/// What a board has, and what the blobs take of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoardFit {
    /// Its name.
    pub board: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Its core.
    pub core: &'static str,
    /// What the firmware is optimised for.
    pub optimized: &'static str,
    /// RAM, the same for every blob.
    pub ram: Room,
    /// Flash for each blob.
    pub flash: Vec<Room>,
    /// The longest context that the RAM holds, all else equal; 0 where it holds none.
    pub max_n_ctx: usize,
}

/// Bytes that are needed, and bytes that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Bytes of all parts.
    pub need: u64,
    /// Bytes of all regions.
    pub have: u64,
    /// Whether every part has found room.
    pub fits: bool,
}

impl Study {
    /// Puts together what was found out.
    ///
    /// # Errors
    /// None, for open blobs.
    pub fn new(subject: &Subject<'_>, findings: &[Findings<'_>], boards: Vec<BoardFit>) -> Result<Self, BlobError> {
        let Subject { task, jobs, .. } = *subject;
        let (windowing, tokens_scored) = (task.windowing, Job::n_scored(jobs));
        let places = Place::all(jobs);
        let scored: Vec<Vec<Scored>> = findings.iter().map(|findings| findings.scored.clone()).collect();
        let names = names(findings.iter().map(|findings| findings.blob.path.as_path()));
        let blob = |(findings, name)| BlobStudy::new(subject, findings, name, &places);
        let spans = by_position(&places, &scored, windowing.n_ctx).into_iter().map(|span| PositionSpan {
            first: span.first,
            last: span.last,
            tokens: span.tokens,
            loss_checkpoint: finite(Some(span.loss_checkpoint)),
            losses: span.losses.into_iter().map(|loss| finite(Some(loss))).collect(),
            kl_means: span.kl_means.into_iter().map(|kl| finite(Some(kl))).collect(),
        });
        let bins =
            histogram(&scored).into_iter().map(|bin| DivergenceBin { from: bin.from, to: bin.to, counts: bin.counts });
        Ok(Self {
            checkpoint: subject.checkpoint.display().to_string(),
            architecture: subject.architecture.into(),
            texts: task.input.files().iter().flatten().cloned().collect(),
            tokens_scored,
            tokens_skipped: task.input.n_tokens() as u64 - tokens_scored,
            convention: windowing.convention.name(),
            n_ctx: windowing.n_ctx,
            stride: windowing.stride(),
            bos: windowing.bos.name(),
            kv: subject.kv,
            pruned: subject.pruned,
            softmax: subject.pruned.map(|_| "renormalised over the kept tokens"),
            reference: scored
                .first()
                .map_or_else(ReferenceLoss::default, |scored| ReferenceLoss::new(scored, task.bytes())),
            blobs: findings.iter().zip(names).map(blob).collect::<Result<_, _>>()?,
            passage: Passage::new(subject, &places, &scored),
            positions: spans.collect(),
            divergences: bins.collect(),
            boards,
            error: (tokens_scored == 0).then(|| nothing_to_score(task)),
        })
    }
}

impl ReferenceLoss {
    /// Of targets that spell so many bytes.
    fn new(scored: &[Scored], bytes: Option<u64>) -> Self {
        let n = scored.len() as f64;
        let Some(loss) = finite(summarize(scored.iter()).loss_checkpoint) else { return Self::default() };
        let variance = scored.iter().map(|scored| (scored.difference.nll - loss).powi(2)).sum::<f64>() / n;
        let bits_per_token = loss / std::f64::consts::LN_2;
        let per_byte = |bytes: u64| bits_per_token * n / bytes as f64;
        Self {
            loss: Some(loss),
            perplexity: finite(Some(libm::exp(loss))),
            bits_per_token: Some(bits_per_token),
            bits_per_byte: bytes.filter(|&bytes| bytes > 0).map(per_byte),
            loss_stderr: (scored.len() > 1).then(|| (variance / (n - 1.0)).sqrt()),
        }
    }
}

impl BlobStudy {
    fn new(
        subject: &Subject<'_>,
        findings: &Findings<'_>,
        name: String,
        places: &[Place<'_>],
    ) -> Result<Self, BlobError> {
        let Findings { blob, canonical, scored, stages, tensors } = findings;
        let stored = contents::tensors(blob)?;
        let mut score = Score::new();
        scored.iter().for_each(|scored| score.push(scored.nll));
        Ok(Self {
            blob: blob.path.display().to_string(),
            name,
            bytes: blob.file.bytes().len() as u64,
            bits_per_weight: contents::bits_per_weight(&stored),
            formats: contents::formats(&stored),
            evaluation: LossReport::of_task(&score, subject.task, Some(canonical.clone())),
            divergence: DivergenceReport::new(scored),
            worst: worst::worst_of(subject, places, scored),
            stages: stages.as_ref().map(StagesReport::from),
            tensors: tensors::changes(&stored, tensors),
        })
    }
}

impl DivergenceReport {
    fn new(scored: &[Scored]) -> Self {
        let summary = summarize(scored.iter());
        Self {
            delta_nll: finite(summary.delta_nll),
            delta_nll_stderr: finite(summary.delta_nll_stderr),
            kl_mean: finite(summary.kl_mean),
            kl_p50: finite(percentile(scored, 50)),
            kl_p90: finite(percentile(scored, 90)),
            kl_p99: finite(summary.kl_p99),
            kl_max: finite(summary.kl_max),
            top1_agreement: finite(summary.top1_agreement),
            max_logit_error: finite(summary.max_logit_error),
            target_probability_rms: finite(summary.target_probability_rms),
        }
    }
}

impl From<&Stages> for StagesReport {
    fn from(Stages { positions, kl_all, stages }: &Stages) -> Self {
        let stage = |stage: &StageError| StageReport {
            stage: stage.stage.to_string(),
            kl_alone: stage.kl_alone,
            stream_error: stage.stream_error,
        };
        Self { positions: *positions, kl_all: *kl_all, stages: stages.iter().map(stage).collect() }
    }
}

/// What charts call blobs: their files without folder and ending, numbered where two are the same.
fn names<'p>(paths: impl Iterator<Item = &'p Path>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for path in paths {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let numbered = (2..).map(|n| format!("{stem} ({n})"));
        let name = std::iter::once(stem.clone()).chain(numbered).find(|name| !names.contains(name));
        names.push(name.unwrap_or(stem));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_of_one_name_are_told_apart() {
        let paths = ["a/q8.blob", "b/q8.blob", "q4.blob", "q8"];
        assert_eq!(names(paths.iter().map(Path::new)), ["q8", "q8 (2)", "q4", "q8 (3)"]);
    }
}
