//! A passage of the text, token by token.

use std::f64::consts::LN_2;

use emberlm_core::config::TokenId;
use serde::Serialize;

use super::subject::Subject;
use crate::report::loss::finite;
use crate::score::Place;
use crate::score::crosscheck::Scored;

/// The beginning of a row.
#[derive(Clone, Debug, Serialize)]
pub struct Passage {
    /// The row's name.
    pub name: String,
    /// Its first tokens.
    pub tokens: Vec<PassageToken>,
}

/// A token, and how much it surprised each model: minus the base-2 logarithm of its probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PassageToken {
    /// Its id.
    pub id: TokenId,
    /// Where there is a tokenizer.
    pub text: Option<String>,
    /// The reference; none for a token that was not scored.
    pub bits_checkpoint: Option<f64>,
    /// Each blob.
    pub bits: Vec<Option<f64>>,
    /// Each blob's divergence from the reference in nats.
    pub kl: Vec<Option<f64>>,
}

impl Passage {
    /// The beginning of the first row that has a target.
    pub(super) fn new(subject: &Subject<'_>, places: &[Place<'_>], scored: &[Vec<Scored>]) -> Option<Self> {
        let row = places.first()?.row;
        let token = |&id: &TokenId| PassageToken {
            id,
            text: subject.spelling.token(id),
            bits_checkpoint: None,
            bits: vec![None; scored.len()],
            kl: vec![None; scored.len()],
        };
        let mut tokens: Vec<PassageToken> = row.tokens.iter().take(subject.passage).map(token).collect();
        for (target, place) in places.iter().enumerate().take_while(|(_, place)| std::ptr::eq(place.row, row)) {
            let Some(token) = tokens.get_mut(place.token) else { continue };
            let bits = |nll: f64| finite(Some(nll / LN_2));
            token.bits_checkpoint = scored.first().and_then(|scored| bits(scored[target].difference.nll));
            token.bits = scored.iter().map(|scored| bits(scored[target].nll.into())).collect();
            token.kl = scored.iter().map(|scored| finite(Some(scored[target].difference.kl))).collect();
        }
        Some(Self { name: row.name.clone(), tokens })
    }
}
