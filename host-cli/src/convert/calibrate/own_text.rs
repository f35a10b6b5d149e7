//! Text that a model writes itself: what it is calibrated on where no text is given.
//!
//! What a model writes passes through it much as what it was trained on does (LLM-QAT, Liu et al., 2023).

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::Windows;
use crate::reference::{Decoder, Reference};
use emberlm_core::config::{Config, TokenId};

/// Tokens of all sequences, about.
const TOKENS: usize = 8192;
/// The longest sequence.
const LENGTH: usize = 128;
/// Sequences written in lockstep.
const LANES: usize = 32;
/// Its stream of random numbers, the same for every model.
const SEED: u64 = 0x6f77_6e5f_7465_7874;

impl Windows {
    /// Tokens of a model's own text.
    pub fn own_tokens(config: &Config) -> usize {
        TOKENS.next_multiple_of(length(config))
    }

    /// Bytes that writing it takes, about: keys, values and logits of the sequences that are written at once.
    pub fn own_bytes(config: &Config) -> u64 {
        let cache = 2 * length(config) as u64 * u64::from(config.n_embd) * u64::from(config.n_layer);
        let each = cache + u64::from(config.n_vocab) + 8 * config.max_width() as u64;
        (rayon::current_num_threads() * LANES) as u64 * each * size_of::<f32>() as u64
    }

    /// Sequences that `reference` draws from its own distributions, each after a first token that is any; `progress` is
    /// told of every token.
    pub fn own_text(reference: &Reference<'_>, progress: impl Fn(usize) + Sync) -> Self {
        let config = reference.config();
        let length = length(config);
        let n = TOKENS.div_ceil(length);
        let lanes: Vec<_> = (0..n).step_by(LANES).map(|first| first..n.min(first + LANES)).collect();
        let write = |lanes: std::ops::Range<usize>| {
            // Every sequence has a part of the stream, whatever it is written beside.
            let draws = lanes.clone().map(|lane| {
                let mut rng = Pcg64::seed_from_u64(SEED);
                rng.advance((lane * length) as u128);
                rng
            });
            let mut draws: Vec<Pcg64> = draws.collect();
            let mut decoder = Decoder::new(reference, lanes.len(), length);
            let first = |rng: &mut Pcg64| (unit(rng) * f64::from(config.n_vocab)) as TokenId;
            let mut written: Vec<Vec<TokenId>> = draws.iter_mut().map(|rng| vec![first(rng)]).collect();
            for _ in 1..length {
                let last: Vec<TokenId> = written.iter().filter_map(|text| text.last().copied()).collect();
                let logits = decoder.step(&last);
                for ((text, logits), rng) in
                    written.iter_mut().zip(logits.chunks(config.n_vocab as usize)).zip(&mut draws)
                {
                    text.push(draw(logits, unit(rng)));
                }
                progress(last.len());
            }
            progress(written.len());
            written
        };
        Self::new(lanes.into_par_iter().flat_map_iter(write).collect::<Vec<_>>(), config)
    }
}

/// Tokens of a sequence.
fn length(config: &Config) -> usize {
    LENGTH.min(config.n_ctx as usize)
}

/// A number from 0 to below 1.
fn unit(rng: &mut Pcg64) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// The token at share `at` of the distribution's mass; the last where logits are no numbers.
fn draw(logits: &[f32], at: f64) -> TokenId {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let mass = |logit: &f32| (f64::from(*logit) - max).exp();
    let mut left = at * logits.iter().map(mass).sum::<f64>();
    let found = logits.iter().position(|logit| {
        left -= mass(logit);
        left < 0.0
    });
    found.unwrap_or(logits.len() - 1) as TokenId
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
    fn a_model_writes_the_same_text_each_time() {
        let checkpoint = Draft::hf().open().unwrap();
        let reference = Reference::new(&checkpoint);
        let windows = Windows::own_text(&reference, |_| ());
        assert_eq!(windows, Windows::own_text(&reference, |_| ()));
        assert!(windows.n_tokens() >= TOKENS && windows.iter().all(|window| window.len() == 5));
        let mut seen = [false; 7];
        windows.iter().flatten().for_each(|&token| seen[token as usize] = true);
        assert_eq!(seen, [true; 7]);
    }
}
