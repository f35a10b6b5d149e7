//! Text that a model writes itself: what it is calibrated on where no text is given.
//!
//! What a model writes passes through it much as what it was trained on does (LLM-QAT, Liu et al., 2023).

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::Windows;
use crate::checkpoint::architecture::Architecture;
use crate::reference::lanes::{exponentiate, largest, masses};
use crate::reference::{Decoder, Reference};
use emberlm_core::config::TokenId;

/// The longest sequence.
const LENGTH: usize = 128;
/// Sequences written in lockstep, each weight being read once for all.
const LANES: usize = 64;
/// A sequence is unsure whose mean entropy is beyond this many times that of the surest quarter, and so many nats more.
const UNSURE: (f64, f64) = (1.5, 0.1);

/// What a model is to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnText {
    /// The token that texts begin with, where the model has one. Without, a sequence may begin with any token after which
    /// the model is sure of itself: a model that was trained on texts with a certain beginning is not, after others.
    pub first: Option<TokenId>,
    /// Where the random numbers start.
    pub seed: u64,
    /// Tokens of all sequences, about.
    pub tokens: usize,
}

impl OwnText {
    /// What weights are rounded by.
    pub const fn to_round_by(first: Option<TokenId>) -> Self {
        Self { first, seed: 0x6f77_6e5f_7465_7874, tokens: 8192 }
    }

    /// What a model that was rounded by the other text is compared with its checkpoint on.
    pub const fn to_measure_on(first: Option<TokenId>) -> Self {
        Self { first, seed: 0x6d65_6173_7572_6564, tokens: 2048 }
    }

    /// Tokens that are written in all, by a model.
    pub fn n_tokens(&self, architecture: &Architecture) -> usize {
        self.tokens.next_multiple_of(length(architecture))
    }

    fn draws(&self, sequence: usize, length: usize) -> Pcg64 {
        let mut rng = Pcg64::seed_from_u64(self.seed);
        rng.advance((sequence * length) as u128);
        rng
    }
}

/// What was written, and how unsure of it the model was: the mean entropy of its distributions, in nats.
struct Sequence {
    tokens: Vec<TokenId>,
    entropy: f64,
}

impl Windows {
    /// Bytes that writing it takes, about: keys, values and logits of the sequences that are written at once.
    pub fn own_bytes(architecture: &Architecture) -> u64 {
        let [_, kv_width, _] = architecture.qkv_rows();
        let cache = 2 * length(architecture) as u64 * kv_width as u64 * u64::from(architecture.n_layer);
        let each = cache + u64::from(architecture.n_vocab) + 8 * u64::from(architecture.n_embd.max(architecture.n_ff));
        LANES as u64 * each * size_of::<f32>() as u64
    }

    /// Sequences that `reference` draws from its own distributions; `progress` is told of every token.
    ///
    /// # Panics
    /// The first token is not in the vocabulary.
    pub fn own_text(reference: &Reference<'_>, text: &OwnText, progress: impl Fn(usize)) -> Self {
        let architecture = reference.architecture();
        let length = length(architecture);
        let n = text.tokens.div_ceil(length);
        let any = |rng: &mut Pcg64| (unit(rng) * f64::from(architecture.n_vocab)) as TokenId;
        let begin = |sequence: usize| {
            let mut rng = text.draws(sequence, length);
            let any = any(&mut rng);
            (text.first.unwrap_or(any), rng)
        };
        let mut written = write(reference, (0..n).map(begin).collect(), length, &progress);
        if text.first.is_none() {
            let unsure = unsure(&written.iter().map(|sequence| sequence.entropy).collect::<Vec<_>>());
            let sure = written.iter().zip(&unsure).filter(|(_, unsure)| !**unsure);
            let firsts: Vec<TokenId> = sure.map(|(sequence, _)| sequence.tokens[0]).collect();
            let again: Vec<usize> = (0..n).filter(|&sequence| unsure[sequence]).collect();
            let begin = |&sequence: &usize| {
                let mut rng = text.draws(n + sequence, length);
                (firsts[(unit(&mut rng) * firsts.len() as f64) as usize], rng)
            };
            let rewritten = write(reference, again.iter().map(begin).collect(), length, &|_| ());
            again.into_iter().zip(rewritten).for_each(|(sequence, new)| written[sequence] = new);
        }
        Self::new(written.into_iter().map(|sequence| sequence.tokens), architecture)
    }
}

/// Sequences of `length` tokens, each from its first token by its own random numbers, whatever it is written beside.
fn write(
    reference: &Reference<'_>,
    begun: Vec<(TokenId, Pcg64)>,
    length: usize,
    progress: &impl Fn(usize),
) -> Vec<Sequence> {
    let n_vocab = reference.architecture().n_vocab as usize;
    let of_lanes = |begun: &[(TokenId, Pcg64)]| {
        let mut draws: Vec<Pcg64> = begun.iter().map(|(_, rng)| rng.clone()).collect();
        let mut decoder = Decoder::new(reference, begun.len(), length);
        let begin = |&(first, _): &(TokenId, Pcg64)| Sequence { tokens: vec![first], entropy: 0.0 };
        let mut written: Vec<Sequence> = begun.iter().map(begin).collect();
        for _ in 1..length {
            let last: Vec<TokenId> = written.iter().filter_map(|text| text.tokens.last().copied()).collect();
            let logits = decoder.step(&last);
            let lanes = written.par_iter_mut().zip(&mut draws).zip(logits.par_chunks(n_vocab));
            lanes.for_each(|((text, rng), logits)| {
                text.tokens.push(draw(logits, unit(rng)));
                text.entropy += entropy(logits) / (length - 1) as f64;
            });
            progress(last.len());
        }
        progress(written.len());
        written
    };
    begun.chunks(LANES).flat_map(of_lanes).collect()
}

/// Which of the sequences with these entropies are unsure; never all.
fn unsure(entropies: &[f64]) -> Vec<bool> {
    let mut sorted = entropies.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quarter = sorted.get(sorted.len() / 4).copied().unwrap_or_default();
    let most = UNSURE.0 * quarter + UNSURE.1;
    entropies.iter().map(|&entropy| entropy > most).collect()
}

/// Tokens of a sequence.
fn length(architecture: &Architecture) -> usize {
    LENGTH.min(architecture.n_ctx as usize)
}

/// A number from 0 to below 1.
fn unit(rng: &mut Pcg64) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// The token at share `at` of the distribution's mass; the last where logits are no numbers.
fn draw(logits: &[f32], at: f64) -> TokenId {
    let mut masses = logits.to_vec();
    let max = f64::from(largest(logits));
    exponentiate(&mut masses, max, 1.0);
    let mut left = at * masses.iter().map(|&mass| f64::from(mass)).sum::<f64>();
    let found = masses.iter().position(|&mass| {
        left -= f64::from(mass);
        left < 0.0
    });
    found.unwrap_or(logits.len() - 1) as TokenId
}

/// The entropy of the distribution, in nats.
fn entropy(logits: &[f32]) -> f64 {
    let max = f64::from(largest(logits));
    let (sum, weighted) = masses(logits, max);
    sum.ln() - weighted / sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::tests::build::Draft;

    #[test]
    fn tokens_are_drawn_by_their_probability() {
        let logits = [0.0, f32::NEG_INFINITY, 3f32.ln()];
        assert_eq!([0.0, 0.24, 0.26, 0.999].map(|at| draw(&logits, at)), [0, 0, 2, 2]);
        assert_eq!(draw(&[f32::NAN; 3], 0.5), 2);
    }

    #[test]
    fn entropies_are_in_nats() {
        assert!((entropy(&[2.0; 7]) - 7f64.ln()).abs() < 1e-12);
        assert!(entropy(&[0.0, f32::NEG_INFINITY, -200.0]).abs() < 1e-12);
    }

    #[test]
    fn sequences_are_unsure_beside_the_surest_quarter() {
        assert_eq!(unsure(&[1.2, 1.0, 1.5, 1.67, 1.05]), [false; 5]);
        assert_eq!(unsure(&[0.5, 2.0, 0.4, 0.45, 1.9]), [false, true, false, false, true]);
        assert_eq!(unsure(&[0.0, 0.05]), [false; 2]);
        assert_eq!(unsure(&[f64::NAN; 3]), [false; 3]);
    }

    #[test]
    fn a_model_writes_the_same_text_each_time_and_another_from_another_seed() {
        let checkpoint = Draft::hf().open().unwrap();
        let reference = Reference::new(&checkpoint);
        let text = OwnText::to_round_by(None);
        let windows = Windows::own_text(&reference, &text, |_| ());
        assert_eq!(windows, Windows::own_text(&reference, &text, |_| ()));
        assert_ne!(windows, Windows::own_text(&reference, &OwnText { seed: 1, ..text }, |_| ()));
        assert!(windows.n_tokens() >= text.tokens && windows.iter().all(|window| window.len() == 5));
        let mut seen = [false; 7];
        windows.iter().flatten().for_each(|&token| seen[token as usize] = true);
        assert_eq!(seen, [true; 7]);
    }

    #[test]
    fn texts_begin_with_the_model_s_first_token() {
        let mut draft = Draft::hf();
        draft.set("bos_token_id", 3.into());
        let checkpoint = draft.open().unwrap();
        assert_eq!(checkpoint.bos(), Some(3));
        let text = OwnText { tokens: 100, ..OwnText::to_round_by(checkpoint.bos()) };
        let windows = Windows::own_text(&Reference::new(&checkpoint), &text, |_| ());
        assert!(windows.iter().len() == 20 && windows.iter().all(|window| window[0] == 3));
        for beyond in [serde_json::Value::Null, 7.into(), 50_256.into(), "x".into()] {
            draft.set("bos_token_id", beyond);
            assert_eq!(draft.open().unwrap().bos(), None);
        }
    }
}
