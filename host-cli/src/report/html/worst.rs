//! The targets that diverge most, each in its context.

use maud::{Markup, html};

use super::words::{Words, count, figure};
use crate::ground::shown;
use crate::report::study::{BlobStudy, Worst};

/// The list of one blob's.
pub fn worst(blob: &BlobStudy) -> Markup {
    html! {
        div {
            h3 { (Words(&blob.name)) }
            ol.worst { @for target in &blob.worst { li { (one(&blob.name, target)) } } }
        }
    }
}

fn one(blob: &str, target: &Worst) -> Markup {
    html! {
        p.quote { (lines(&target.before)) mark { (lines(&target.text)) } span.soft { (lines(&target.after)) } }
        p.soft {
            "Divergence " (figure(target.kl)) " nats. It took the checkpoint " (figure(target.bits_checkpoint)) " bits and "
            (Words(blob)) " " (figure(target.bits)) ". Most likely to the checkpoint: "
            code { "“" (Words(&target.top_checkpoint)) "”" } ", to the blob: " code { "“" (Words(&target.top)) "”" }
            ". Token " (count(target.token as u64)) " (id " (count(target.id.into())) ") of " (Words(&target.row)) ", after "
            (count(target.seen as u64)) " of its window."
        }
    }
}

/// Ends of lines as a sign, all on one line.
fn lines(text: &str) -> String {
    text.split('\n').map(|line| shown::whole(line).to_string()).collect::<Vec<_>>().join("⏎ ")
}
