//! Random weights whose every element is drawn by its place in the file, so that no thread count changes a bit.
//!
//! Draw number `n` of one PCG XSL 128/64 stream (O'Neill, 2014) belongs to element `n`; the stream can be entered
//! anywhere. Only IEEE basic operations and the `libm` crate's functions are used, which every machine computes alike.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use std::f64::consts::TAU;

/// How a tensor's elements are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Every element has this value.
    Constant(f32),
    /// Normal with mean 0 and variance 1.
    Normal,
    /// Uniform in `-bound..bound`.
    Uniform {
        /// The largest magnitude.
        bound: f64,
    },
}

/// Elements that one task draws: even, since normal values are drawn in pairs.
const CHUNK: usize = 1 << 14;

/// The stream that a seed starts.
#[derive(Clone, Debug)]
pub struct Draws(Pcg64);

impl Draws {
    /// Every seed has a stream of its own.
    pub fn new(seed: u64) -> Self {
        Self(Pcg64::seed_from_u64(seed))
    }

    /// Fills `elements`, the first of which belongs to draw `first`, with little-endian f32.
    ///
    /// `first` is even.
    pub fn fill(&self, first: u64, distribution: Distribution, elements: &mut [[u8; 4]]) {
        elements.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, elements)| {
            let mut rng = self.0.clone();
            rng.advance(u128::from(first) + (chunk * CHUNK) as u128);
            match distribution {
                Distribution::Constant(value) => elements.fill(value.to_le_bytes()),
                Distribution::Uniform { bound } => {
                    elements.fill_with(|| uniform(rng.next_u64(), bound).to_le_bytes());
                }
                Distribution::Normal => {
                    for pair in elements.chunks_mut(2) {
                        let values = normal_pair(rng.next_u64(), rng.next_u64());
                        pair.iter_mut().zip(values).for_each(|(out, value)| *out = value.to_le_bytes());
                    }
                }
            }
        });
    }
}

/// A draw as a value in `-bound..bound`, of 2^24 different ones, as PyTorch's f32 has.
fn uniform(draw: u64, bound: f64) -> f32 {
    let unit = (draw >> 40) as f64 / (1u64 << 24) as f64;
    (bound * (2.0 * unit - 1.0)) as f32
}

/// Two independent normal values from two draws (Box and Muller, 1958).
fn normal_pair(radius: u64, angle: u64) -> [f32; 2] {
    let unit = 1.0 / (1u64 << 53) as f64;
    let radius = libm::sqrt(-2.0 * libm::log(((radius >> 11) + 1) as f64 * unit));
    let (sin, cos) = libm::sincos(TAU * ((angle >> 11) as f64 * unit));
    [(radius * cos) as f32, (radius * sin) as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, first: u64, distribution: Distribution, len: usize) -> Vec<f32> {
        let mut elements = vec![[0; 4]; len];
        Draws::new(seed).fill(first, distribution, &mut elements);
        elements.into_iter().map(f32::from_le_bytes).collect()
    }

    #[test]
    fn the_first_values_of_seed_0_never_change() {
        let normal = drawn(0, 0, Distribution::Normal, 4).into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert_eq!(normal, [3_214_239_712, 1_070_886_615, 1_062_055_069, 1_045_255_340]);
        let uniform = drawn(0, 0, Distribution::Uniform { bound: 0.5 }, 2);
        assert_eq!(uniform.into_iter().map(f32::to_bits).collect::<Vec<_>>(), [3_200_164_790, 3_189_512_992]);
    }

    #[test]
    fn any_element_can_be_drawn_alone() {
        for distribution in [Distribution::Normal, Distribution::Uniform { bound: 2.0 }, Distribution::Constant(3.0)] {
            let whole = drawn(9, 0, distribution, 3 * CHUNK + 5);
            let tail = drawn(9, 2 * CHUNK as u64 + 100, distribution, CHUNK - 95);
            assert_eq!(whole[2 * CHUNK + 100..], tail);
        }
        assert_ne!(drawn(9, 0, Distribution::Normal, 8), drawn(10, 0, Distribution::Normal, 8));
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let moments = |values: &[f32]| {
            let n = values.len() as f64;
            let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
            let central = |power| values.iter().map(|x| (f64::from(*x) - mean).powi(power)).sum::<f64>() / n;
            (mean, central(2), central(4))
        };
        let n = 1 << 20;
        let (mean, variance, fourth) = moments(&drawn(1, 0, Distribution::Normal, n));
        assert!(mean.abs() < 5e-3 && (variance - 1.0).abs() < 1e-2 && (fourth - 3.0).abs() < 6e-2);
        let values = drawn(1, 0, Distribution::Uniform { bound: 3.0 }, n);
        let (mean, variance, fourth) = moments(&values);
        assert!(mean.abs() < 1e-2 && (variance - 3.0).abs() < 2e-2 && (fourth - 16.2).abs() < 0.2);
        assert!(values.iter().all(|x| x.abs() <= 3.0) && values.iter().any(|x| x.abs() > 2.99));
    }
}
