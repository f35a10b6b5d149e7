//! A passage in the colours of what surprised each model.

use maud::{Markup, html};

use super::page::{details, scrolling};
use super::words::{Words, count, figure};
use crate::ground::shown;
use crate::report::figures;
use crate::report::study::{Passage, PassageToken, Study};
use crate::report::surprise::{LEVELS, level, range};

/// Bits by which a blob's surprise differs before a token is underlined.
const DIFFERS: f64 = 0.5;

/// The reference's map, and beside it each blob's.
pub fn passage(study: &Study, passage: &Passage) -> Markup {
    html! {
        p {
            "The first " (passage.tokens.len()) " tokens of " (Words(&passage.name)) ", in the colours of how many bits "
            "each of them took: minus the base-2 logarithm of its probability. Underlined is what took a blob over half a "
            "bit more or less than the checkpoint; hold the pointer over a token for its numbers, which the table below "
            "has too."
        }
        p.legend {
            "Bits: "
            @for level in 0..LEVELS { span class=(class(level)) { (range(level)) } " " }
            span.none { "not scored" }
        }
        div.maps {
            (map("checkpoint", passage, &of_checkpoint(study)))
            @for (index, blob) in study.blobs.iter().enumerate() { (map(&blob.name, passage, &of_blob(&blob.name, index))) }
        }
        (details("Every token's numbers", &scrolling("Every token's numbers", &table(study, passage))))
    }
}

fn class(level: usize) -> String {
    format!("h{level}")
}

fn differs(blob: usize, token: &PassageToken) -> bool {
    token.bits[blob].zip(token.bits_checkpoint).is_some_and(|(bits, reference)| (bits - reference).abs() >= DIFFERS)
}

/// A token's bits, its title, and whether it is underlined.
type Seen<'s> = dyn Fn(&PassageToken) -> (Option<f64>, String, bool) + 's;

fn of_checkpoint(study: &Study) -> Box<Seen<'_>> {
    Box::new(|token| (token.bits_checkpoint, title_of_checkpoint(study, token), false))
}

fn of_blob(name: &str, blob: usize) -> Box<Seen<'_>> {
    Box::new(move |token| (token.bits[blob], title_of_blob(name, blob, token), differs(blob, token)))
}

fn map(name: &str, passage: &Passage, seen: &Seen<'_>) -> Markup {
    html! {
        figure {
            figcaption { (Words(name)) }
            p.map {
                @for token in &passage.tokens {
                    @let (bits, title, is_off) = seen(token);
                    @let class = bits.map_or_else(|| "none".into(), |bits| class(level(bits)));
                    span.(class).off[is_off] title=(title) { (text(token)) }
                }
            }
        }
    }
}

/// A token on the page: an end of a line is a sign and an end of the line.
fn text(token: &PassageToken) -> String {
    match &token.text {
        Some(text) => text.split('\n').map(|line| shown::whole(line).to_string()).collect::<Vec<_>>().join("⏎\n"),
        None => format!("{} ", token.id),
    }
}

/// A token in words.
fn name(token: &PassageToken) -> String {
    token.text.as_ref().map_or_else(|| format!("token {}", token.id), |text| format!("“{}”", shown::whole(text)))
}

fn bits(bits: Option<f64>) -> String {
    bits.map_or_else(|| "not scored".into(), |bits| format!("{} bits", figures::figure(bits)))
}

fn title_of_checkpoint(study: &Study, token: &PassageToken) -> String {
    let mut title = format!("{}: checkpoint {}", name(token), bits(token.bits_checkpoint));
    for (blob, &of_blob) in study.blobs.iter().zip(&token.bits).filter(|(_, bits)| bits.is_some()) {
        title += &format!("; {} {}", shown::whole(&blob.name), bits(of_blob));
    }
    title
}

fn title_of_blob(blob: &str, index: usize, token: &PassageToken) -> String {
    let mut title = format!("{}: {} {}", name(token), shown::whole(blob), bits(token.bits[index]));
    if let (Some(of_blob), Some(reference)) = (token.bits[index], token.bits_checkpoint) {
        let sign = if of_blob < reference { "less" } else { "more" };
        let difference = figures::figure((of_blob - reference).abs());
        title +=
            &format!(", {difference} {sign} than the checkpoint; divergence {} nats", figures::figure(token.kl[index]));
    }
    title
}

fn table(study: &Study, passage: &Passage) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th.word scope="col" { "token" }
                    th scope="col" { "id" }
                    th scope="col" { "checkpoint, bits" }
                    @for blob in &study.blobs {
                        th scope="col" { (Words(&blob.name)) ", bits" }
                        th scope="col" { (Words(&blob.name)) ", divergence, nats" }
                    }
                }
            }
            tbody {
                @for token in &passage.tokens {
                    tr {
                        th scope="row" { code { (name(token)) } }
                        td { (count(token.id.into())) }
                        @if token.bits_checkpoint.is_none() {
                            td.soft colspan=(1 + 2 * study.blobs.len()) { "not scored" }
                        } @else {
                            td { (figure(token.bits_checkpoint)) }
                            @for (bits, kl) in token.bits.iter().zip(&token.kl) {
                                td { (figure(*bits)) }
                                td { (figure(*kl)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
