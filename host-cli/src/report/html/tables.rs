//! The tables of a study.

use maud::{Markup, html};

use super::page::scrolling;
use super::words::{Words, count, figure};
use crate::report::study::{BlobStudy, Study};

/// The float reference beside each blob, a figure a row.
pub fn crosscheck(study: &Study) -> Markup {
    let reference = &study.reference;
    let table = html! {
        table {
            thead {
                tr {
                    td {}
                    th scope="col" { "checkpoint" }
                    @for blob in &study.blobs { th scope="col" { (Words(&blob.name)) } }
                }
            }
            tbody {
                (row("formats of matrices", study, &html! { "float" }, |blob| html! { (blob.formats.join(", ")) }))
                (row("bits a weight", study, &none(), |blob| figure(blob.bits_per_weight)))
                (row("bytes", study, &none(), |blob| count(blob.bytes)))
                (row("loss, nats a token", study, &figure(reference.loss), |blob| figure(blob.evaluation.loss)))
                (row("loss, standard error", study, &figure(reference.loss_stderr), |blob| figure(blob.evaluation.loss_stderr)))
                (row("perplexity", study, &figure(reference.perplexity), |blob| figure(blob.evaluation.perplexity)))
                (row("bits per token", study, &figure(reference.bits_per_token), |blob| figure(blob.evaluation.bits_per_token)))
                (row("bits per byte", study, &figure(reference.bits_per_byte), |blob| figure(blob.evaluation.bits_per_byte)))
                (row("loss less the checkpoint's", study, &none(), |blob| figure(blob.divergence.delta_nll)))
                (row("the same, standard error", study, &none(), |blob| figure(blob.divergence.delta_nll_stderr)))
                (row("KL divergence, mean, nats", study, &none(), |blob| figure(blob.divergence.kl_mean)))
                (row("KL of 50 % of targets, at most", study, &none(), |blob| figure(blob.divergence.kl_p50)))
                (row("KL of 90 %, at most", study, &none(), |blob| figure(blob.divergence.kl_p90)))
                (row("KL of 99 %, at most", study, &none(), |blob| figure(blob.divergence.kl_p99)))
                (row("KL, largest", study, &none(), |blob| figure(blob.divergence.kl_max)))
                (row("top-1 agreement", study, &none(), |blob| figure(blob.divergence.top1_agreement)))
                (row("largest difference of a logit", study, &none(), |blob| figure(blob.divergence.max_logit_error)))
                (row("probability of the target, RMS difference", study, &none(), |blob| {
                    figure(blob.divergence.target_probability_rms)
                }))
                (row("nll bits", study, &none(), |blob| halves(blob.evaluation.nll_bits.as_deref())))
                (row("activations", study, &none(), |blob| word(blob.evaluation.activations)))
                (row("arithmetic, version", study, &none(), |blob| version(blob.evaluation.arithmetic)))
                (row("model crc32", study, &none(), |blob| word(blob.evaluation.model_crc32.as_deref())))
            }
        }
    };
    scrolling("The checkpoint and its blobs", &table)
}

fn row(name: &str, study: &Study, reference: &Markup, of: impl Fn(&BlobStudy) -> Markup) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            td { (reference) }
            @for blob in &study.blobs { td { (of(blob)) } }
        }
    }
}

/// What a float reference does not have.
fn none() -> Markup {
    html! { span.soft { "–" } }
}

fn word(word: Option<&str>) -> Markup {
    html! { @if let Some(word) = word { code { (Words(word)) } } }
}

fn version(version: Option<u16>) -> Markup {
    html! { @if let Some(version) = version { (count(version.into())) } }
}

/// A word that may break in its middle.
fn halves(word: Option<&str>) -> Markup {
    let halves = word.and_then(|word| word.split_at_checked(word.len() / 2));
    html! { @if let Some((first, second)) = halves { code { (first) wbr; (second) } } }
}

/// The numbers behind the lines over positions.
pub fn positions(study: &Study) -> Markup {
    let table = html! {
        table {
            thead {
                tr {
                    th.word scope="col" { "predicted from" }
                    th scope="col" { "targets" }
                    th scope="col" { "checkpoint, loss" }
                    @for blob in &study.blobs {
                        th scope="col" { (Words(&blob.name)) ", loss" }
                        th scope="col" { "divergence" }
                    }
                }
            }
            tbody {
                @for span in &study.positions {
                    tr {
                        th scope="row" { (count(span.first as u64)) " to " (count(span.last as u64)) }
                        td { (count(span.tokens)) }
                        td { (figure(span.loss_checkpoint)) }
                        @for (loss, kl) in span.losses.iter().zip(&span.kl_means) {
                            td { (figure(*loss)) }
                            td { (figure(*kl)) }
                        }
                    }
                }
            }
        }
    };
    scrolling("Loss and divergence by position", &table)
}

/// The numbers behind the histograms.
pub fn divergences(study: &Study) -> Markup {
    let table = html! {
        table {
            thead {
                tr {
                    th.word scope="col" { "divergence, nats" }
                    @for blob in &study.blobs { th scope="col" { (Words(&blob.name)) ", targets" } }
                }
            }
            tbody {
                @for bin in &study.divergences {
                    tr {
                        th scope="row" { (figure(bin.from)) " to " (figure(bin.to)) }
                        @for &targets in &bin.counts { td { (count(targets)) } }
                    }
                }
            }
        }
    };
    scrolling("How many targets diverge by how much", &table)
}

/// What each part of a blob costs, and the error of the stream behind it.
pub fn stages(blob: &BlobStudy) -> Markup {
    let table = html! {
        @if let Some(report) = &blob.stages {
            table {
                thead {
                    tr {
                        th.word scope="col" { "part" }
                        th scope="col" { "divergence, its weights alone" }
                        th scope="col" { "error of the stream behind it" }
                    }
                }
                tbody {
                    @for part in &report.stages {
                        tr {
                            th scope="row" { (part.stage) }
                            td { (figure(part.kl_alone)) }
                            td { @match part.stream_error { Some(error) => (figure(error)), None => (none()) } }
                        }
                    }
                    tr { th scope="row" { "all weights" } td { (figure(report.kl_all)) } td { (none()) } }
                }
            }
        }
    };
    scrolling("What each part costs", &table)
}

/// A blob's tensors beside the checkpoint's.
pub fn tensors(blob: &BlobStudy) -> Markup {
    let table = html! {
        table {
            thead {
                tr {
                    th.word scope="col" { "tensor" }
                    th.word scope="col" { "format" }
                    th scope="col" { "shape" }
                    th scope="col" { "bytes" }
                    th.word scope="col" { "what became of it" }
                    th scope="col" { "of weights" }
                    th scope="col" { "RMS" }
                    th scope="col" { "largest" }
                }
            }
            tbody {
                @for tensor in &blob.tensors {
                    tr {
                        th scope="row" { (tensor.name) }
                        td.word { (tensor.format) }
                        td { (count(tensor.rows as u64)) " × " (count(tensor.cols as u64)) }
                        td { (count(tensor.bytes)) }
                        td.word { (tensor.change) }
                        td { (figure(tensor.relative_error)) }
                        td { (figure(tensor.rms_error)) }
                        td { (figure(tensor.max_error)) }
                    }
                }
            }
        }
    };
    scrolling("Tensors beside the checkpoint's", &table)
}
