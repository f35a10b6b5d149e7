//! The targets that diverge most, in their context.

use std::f64::consts::LN_2;

use emberlm_core::config::TokenId;
use serde::Serialize;

use super::subject::Subject;
use crate::report::loss::finite;
use crate::score::Place;
use crate::score::crosscheck::Scored;
use crate::score::distribution::worst;

/// How many there are.
const MOST: usize = 10;

/// Tokens of context that are quoted before a target, and after it.
const BEFORE: usize = 40;
const AFTER: usize = 16;

/// A target that diverges much.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worst {
    /// Its row.
    pub row: String,
    /// Its index in the row.
    pub token: usize,
    /// Tokens that it is predicted from.
    pub seen: usize,
    /// Its id.
    pub id: TokenId,
    /// What it spells, or its id.
    pub text: String,
    /// Up to 40 tokens before it, of those that it is predicted from.
    pub before: String,
    /// Up to 16 tokens after it.
    pub after: String,
    /// The blob's divergence from the reference, in nats.
    pub kl: Option<f64>,
    /// Minus the base-2 logarithm of the reference's probability.
    pub bits_checkpoint: Option<f64>,
    /// Of the blob's.
    pub bits: Option<f64>,
    /// What the reference finds most likely.
    pub top_checkpoint: String,
    /// What the blob finds most likely.
    pub top: String,
}

/// The ten of them, the worst first.
pub(super) fn worst_of(subject: &Subject<'_>, places: &[Place<'_>], scored: &[Scored]) -> Vec<Worst> {
    let spelling = subject.spelling;
    let of = |target: usize| {
        let (Place { row, token, seen }, Scored { nll, difference }) = (places[target], scored[target]);
        let before = &row.tokens[token - seen.min(BEFORE)..token];
        let after = &row.tokens[token + 1..row.tokens.len().min(token + 1 + AFTER)];
        let bits = |nll: f64| finite(Some(nll / LN_2));
        Worst {
            row: row.name.clone(),
            token,
            seen,
            id: row.tokens[token],
            text: spelling.name(row.tokens[token]),
            before: spelling.text(before),
            after: spelling.text(after),
            kl: finite(Some(difference.kl)),
            bits_checkpoint: bits(difference.nll),
            bits: bits(nll.into()),
            top_checkpoint: spelling.name(difference.tops[0]),
            top: spelling.name(difference.tops[1]),
        }
    };
    worst(scored, MOST).into_iter().map(of).collect()
}
