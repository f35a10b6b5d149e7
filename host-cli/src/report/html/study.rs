//! The page of a study.

use maud::{Markup, html};

use super::axis::Axis;
use super::boards::boards;
use super::charts::{Line, histogram, key, lines, stages};
use super::heat::passage;
use super::page::{Section, details, facts, page};
use super::scatter::{Point, scatter};
use super::tables;
use super::words::{Words, count, figure, short};
use super::worst::worst;
use crate::report::study::{BlobStudy, Study};

/// All that was found out, one file of HTML.
pub fn study(study: &Study) -> String {
    let section = |id, heading, body| Section { id, heading, body };
    let mut sections = vec![section("crosscheck", "Cross-check", crosscheck(study))];
    if let Some(of) = &study.passage {
        sections.push(section("passage", "Surprisal of a passage", passage(study, of)));
    }
    sections.push(section("positions", "Loss by position", positions(study)));
    sections.push(section("divergence", "KL divergence", divergence(study)));
    sections.push(section("worst", "The worst targets", worst_targets(study)));
    sections.push(section("parts", "Where the error arises", parts(study)));
    sections.push(section("formats", "Bits a weight and divergence", formats(study)));
    sections.push(section("boards", "Flash and RAM", fits(study)));
    page(&format!("{} and its blobs", name_of(&study.checkpoint)), &about(study), &sections)
}

/// The last part of a path.
fn name_of(path: &str) -> &str {
    path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(path)
}

fn about(study: &Study) -> Markup {
    let windows = html! {
        (study.convention) ", n_ctx " (count(study.n_ctx as u64)) ", stride " (count(study.stride as u64))
        ", bos " (study.bos)
    };
    let tokens = html! { (count(study.tokens_scored)) " scored, " (count(study.tokens_skipped)) " skipped" };
    let text = study.texts.join(", ");
    facts(&[
        ("checkpoint", html! { (Words(&study.checkpoint)) }),
        ("model", html! { (Words(&study.architecture)) }),
        ("text", html! { @if text.is_empty() { "named on the command line" } @else { (Words(&text)) } }),
        ("tokens", tokens),
        ("windows", windows),
        ("KV cache of blobs", html! { (study.kv) }),
        ("vocabulary", vocabulary(study)),
    ])
}

fn vocabulary(study: &Study) -> Markup {
    html! {
        @match (study.pruned, study.softmax) {
            (Some(pruned), Some(softmax)) => {
                "pruned from " (count(pruned.from.into())) " to " (count(pruned.to.into())) " tokens; the checkpoint's "
                "softmax is " (softmax)
            },
            _ => "whole",
        }
    }
}

fn crosscheck(study: &Study) -> Markup {
    html! {
        p {
            "The same tokens through the checkpoint, in floats, and through each blob, in the arithmetic that devices have "
            "too: a board that scores them as here gives the same nll bits. Divergences are of a blob's distribution from the "
            "checkpoint's."
        }
        (tables::crosscheck(study))
    }
}

fn positions(study: &Study) -> Markup {
    let reference = study.positions.iter().map(|span| span.loss_checkpoint);
    let reference = [Line { index: 0, name: "checkpoint", values: reference.collect() }];
    let of_blobs = study.blobs.iter().enumerate().map(|(blob, of)| Line {
        index: blob + 1,
        name: &of.name,
        values: study.positions.iter().map(|span| span.losses[blob]).collect(),
    });
    let losses: Vec<Line<'_>> = reference.into_iter().chain(of_blobs).collect();
    let divergences = study.blobs.iter().enumerate().map(|(blob, of)| Line {
        index: blob + 1,
        name: &of.name,
        values: study.positions.iter().map(|span| span.kl_means[blob]).collect(),
    });
    let divergences: Vec<Line<'_>> = divergences.collect();
    let values =
        |lines: &[Line<'_>]| -> Vec<f64> { lines.iter().flat_map(|line| &line.values).flatten().copied().collect() };
    let loss = Axis::linear("loss, nats a token", values(&losses).into_iter());
    let kl = Axis::log("mean divergence, nats", values(&divergences).into_iter());
    html! {
        p {
            "A target that is predicted from more tokens of its window takes less. How much a blob loses may depend on that "
            "too."
        }
        (key(losses.iter().map(|line| (line.index, line.name))))
        div.row {
            figure { (lines(&study.positions, &losses, loss, "Mean loss by tokens that a target is predicted from")) }
            figure { (lines(&study.positions, &divergences, kl, "Mean divergence by tokens that a target is predicted from")) }
        }
        (details("Numbers", &tables::positions(study)))
    }
}

fn divergence(study: &Study) -> Markup {
    html! {
        p { "How many targets diverge by how much: two bars for each power of 10, and what is below 1e-10 in one." }
        div.row {
            @for (blob, of) in study.blobs.iter().enumerate() {
                figure {
                    figcaption {
                        (Words(&of.name)) ": mean " (figure(of.divergence.kl_mean)) ", half of them at most "
                        (figure(of.divergence.kl_p50)) ", the largest " (figure(of.divergence.kl_max))
                    }
                    (histogram(&study.divergences, blob, "How many targets diverge by how much"))
                }
            }
        }
        (details("Numbers", &tables::divergences(study)))
    }
}

fn worst_targets(study: &Study) -> Markup {
    html! {
        p { "The targets that diverge most, at most ten a blob, marked in the tokens around them." }
        div.row { @for blob in &study.blobs { (worst(blob)) } }
    }
}

fn parts(study: &Study) -> Markup {
    html! {
        p {
            "What the weights of each part cost alone: mean divergence of the checkpoint with the blob's weights in that "
            "part, and its own in all others, over the first positions of the text, in floats. Activations and cache are not "
            "rounded here, so that this is the weights' share of the divergence above. Each chart has a scale of its own."
        }
        div.row {
            @for (blob, of) in study.blobs.iter().enumerate() {
                figure {
                    figcaption {
                        (Words(&of.name))
                        @match &of.stages {
                            Some(report) => {
                                ": all weights together " (figure(report.kl_all)) " nats, over " (count(report.positions))
                                " positions"
                            },
                            None => {
                                ": its head is tied and the checkpoint's is not, or the other way round, so that its parts "
                                "cannot be exchanged"
                            },
                        }
                    }
                    @if let Some(report) = &of.stages {
                        (stages(report, blob, "Divergence by the weights of each part alone"))
                    }
                }
            }
        }
        p {
            "Behind each part, the error of the residual stream over the stream, root mean squares, where this part and all "
            "before it have the blob's weights; and each tensor beside the checkpoint's. " code { "adjusted" }
            " is a vector that calibration moved to make up for what rounded matrices lack: a difference that is no error."
        }
        div.row { @for of in &study.blobs { div { h3 { (Words(&of.name)) } (tables::stages(of)) } } }
        @for of in &study.blobs { (details(&format!("Tensors of {}", short(&of.name)), &tables::tensors(of))) }
    }
}

fn formats(study: &Study) -> Markup {
    let point = |blob: &BlobStudy| Point {
        name: blob.name.clone(),
        bits_per_weight: blob.bits_per_weight,
        kl_mean: blob.divergence.kl_mean,
    };
    html! {
        p { "Fewer bits a weight cost divergence; lower and further left is better." }
        (scatter(&study.blobs.iter().map(point).collect::<Vec<_>>()))
    }
}

fn fits(study: &Study) -> Markup {
    html! {
        p {
            "The scoring program with each blob, as scored here: KV cache " (study.kv) ", n_ctx " (count(study.n_ctx as u64))
            ", one layer's cache at a time, batches of 8. " code { "emberlm plan --fit" } " looks for other ways. "
            "A bar is what is needed of what there is; red is more than that, and the stroke in it is where the memory ends."
        }
        (boards(study))
    }
}
