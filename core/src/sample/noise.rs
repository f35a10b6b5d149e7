//! Random numbers.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// The generator of random numbers: 64 bits of state, 32 bits a number.
pub type Generator = Pcg32;

/// The generator of a seed.
pub fn generator(seed: u64) -> Generator {
    Pcg32::seed_from_u64(seed)
}

/// The next 32 random bits.
pub(super) fn bits(generator: &mut Generator) -> u32 {
    generator.next_u32()
}

/// The next random number in [0, 1), a multiple of 2^-24.
pub(super) fn uniform(generator: &mut Generator) -> f32 {
    (bits(generator) >> 8) as f32 / 16_777_216.0
}

/// The Gumbel noise `-ln(-ln(1 - v))` of 32 random bits, `v` being the middle of their interval of [0, 1): from -3.2 to
/// 22.9, off by less than 1e-5.
pub(super) fn gumbel(bits: u32) -> f32 {
    let middle = |bits: u32| ((f64::from(bits) + 0.5) / 4_294_967_296.0) as f32;
    // Whichever of v and 1 - v is small keeps its digits.
    let exponential = if bits >> 31 == 0 { libm::log1pf(-middle(bits)) } else { libm::logf(middle(!bits)) };
    -libm::logf(-exponential)
}

/// No less than [`gumbel`] of the same bits, without a logarithm: `-ln(1 - v) >= v >= 2^-(leading zeros + 1)`.
pub(super) fn gumbel_bound(bits: u32) -> f32 {
    // A little over ln 2.
    (bits.leading_zeros() + 1) as f32 * 0.6932
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_accurate_and_bounded() {
        let mut generator = generator(1);
        let edges = [0, 1, 2, u32::MAX, u32::MAX - 1, 1 << 31, (1 << 31) - 1];
        let powers = (0..32).flat_map(|power| [1u32 << power, (1 << power) - 1]);
        let random =
            core::iter::repeat_with(move || bits(&mut generator)).take(if cfg!(miri) { 1000 } else { 200_000 });
        for bits in edges.into_iter().chain(powers).chain(random) {
            let v = (f64::from(bits) + 0.5) / 4_294_967_296.0;
            let want = -(-(-v).ln_1p()).ln();
            let got = gumbel(bits);
            assert!(got <= gumbel_bound(bits), "{bits:#x}");
            assert!((f64::from(got) - want).abs() < 1e-5, "{bits:#x}: {got} for {want}");
        }
    }

    /// PCG-XSH-RR 64/32 after O'Neill, *PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for
    /// Random Number Generation*, 2014, written down once more.
    #[test]
    fn the_generator_is_pcg() {
        let (mut state, increment) = (0x0123_4567_89AB_CDEFu64, 2 * 54 + 1u64);
        let step = |state: u64| state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(increment);
        let mut generator = Pcg32::new(state, 54);
        state = step(state.wrapping_add(increment));
        for _ in 0..1000 {
            let mixed = (((state >> 18) ^ state) >> 27) as u32;
            assert_eq!(bits(&mut generator), mixed.rotate_right((state >> 59) as u32));
            state = step(state);
        }
    }
}
