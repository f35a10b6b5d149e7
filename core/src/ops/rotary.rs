//! Rotary positions (Su et al., 2021): each pair of a head's elements turns with the position, at a speed of its own.
//!
//! Angles are phases: integers in units of `2^-64` turn, of which whole turns drop out by themselves. A phase is exact at
//! every position, and its sine and cosine come from a polynomial in integers.

use super::fixed::{add, from_fixed, mul_high, multiply};
use crate::part::split_mut;

/// Coefficients of `u^0` to `u^3` with `u = t^2`, the first in units of `2^-31`, each next one of a quarter of that:
/// the cubic that is `sin(pi t / 4) / t` at the four Chebyshev nodes of `u` from 0 to 1, `(1 + cos((2 k + 1) pi / 8)) / 2`.
const SINE: [i32; 4] = [1_686_629_708, -693_598_003, 85_555_982, -4_941_520];

/// As [`SINE`], from units of `2^-32` on, the cubic that is `(cos(pi t / 4) - 1) / u` there.
const COSINE: [i32; 4] = [-1_324_675_878, 272_375_455, -22_399_895, 973_605];

/// Sine and cosine of `phase`, which is in units of `2^-64` turn, each off by less than `2^-24`. At multiples of a quarter
/// turn they are exact.
pub fn sine_cosine(phase: u64) -> (f32, f32) {
    let turn = (phase >> 32) as u32;
    // The nearest, and the distance from it, of at most an eighth of a turn, which is 2^31.
    let quarter = turn.wrapping_add(1 << 29) >> 30;
    let t = (turn << 2) as i32;
    let u = mul_high(t, t);
    let sine = mul_high(t, cubic(SINE, u));
    let cosine = (1 << 30) + mul_high(cubic(COSINE, u), u);
    let (sine, cosine) = if quarter & 1 == 0 { (sine, cosine) } else { (cosine, -sine) };
    let (sine, cosine) = if quarter & 2 == 0 { (sine, cosine) } else { (-sine, -cosine) };
    (from_fixed(sine, 30), from_fixed(cosine, 30))
}

/// At `u`, in units of `2^-30`.
#[inline(always)]
const fn cubic([c0, c1, c2, c3]: [i32; 4], u: i32) -> i32 {
    c0 + mul_high(c1 + mul_high(c2 + mul_high(c3, u), u), u)
}

/// The cosine of each pair's angle at `position`, and then its sine: `out` is `[2 * pairs]`. `turns` are the pairs' speeds,
/// in units of `2^-64` turn a position, of eight bytes in the order of the blob.
pub fn angles(out: &mut [f32], turns: &[[u8; 8]], position: u32) {
    for ([cosine, sine], &turns) in out.as_chunks_mut().0.iter_mut().zip(turns) {
        (*sine, *cosine) = sine_cosine(u64::from(position).wrapping_mul(u64::from_le_bytes(turns)));
    }
}

/// Turns one head `x` `[head_dim]` by what [`angles`] made: `angles` is `[r]`, `r` even and at most `head_dim`. Element `i`
/// below `r / 2` is a pair with element `i + r / 2`; those from `r` on stay as they are.
pub fn rotate(x: &mut [f32], angles: &[f32]) {
    let (first, rest) = split_mut(x, angles.len() / 2);
    for ((a, b), &[cosine, sine]) in first.iter_mut().zip(rest).zip(angles.as_chunks().0) {
        (*a, *b) = (add(multiply(*a, cosine), -multiply(*b, sine)), add(multiply(*b, cosine), multiply(*a, sine)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::{FRAC_PI_4, TAU};
    use std::vec::Vec;

    const BOUND: f64 = 1.0 / (1 << 24) as f64;

    fn random() -> impl Iterator<Item = u64> {
        let mut state = 7_u64;
        core::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.rotate_left(32) ^ state >> 7
        })
    }

    /// The larger error of both.
    fn error(phase: u64, (sine, cosine): (f32, f32)) -> f64 {
        let angle = phase as i64 as f64 * 2f64.powi(-64) * TAU;
        (f64::from(sine) - angle.sin()).abs().max((f64::from(cosine) - angle.cos()).abs())
    }

    #[test]
    fn phases_keep_the_bound() {
        let worst = |phases: &mut dyn Iterator<Item = u64>| {
            phases.map(|phase| error(phase, sine_cosine(phase))).fold(0.0, f64::max)
        };
        let n = if cfg!(miri) { 300 } else { 1_000_000 };
        let any = worst(&mut random().take(n));
        assert!(any < BOUND, "{any}");
        // Around every eighth of a turn: next to it, and at distances of every size.
        let near = (0..8_u64).flat_map(|eighth| {
            let distances = (0..61).flat_map(|bit| [1 << bit, (1_u64 << bit).wrapping_neg()]);
            distances
                .flat_map(move |by| [0, 1, 2, u64::MAX].map(|more| (eighth << 61).wrapping_add(by).wrapping_add(more)))
        });
        let near = worst(&mut near.into_iter());
        assert!(near < BOUND, "{near}");
    }

    #[test]
    fn quarters_of_a_turn_are_exact() {
        let quarters = [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)];
        assert_eq!([0, 1, 2, 3].map(|quarter: u64| sine_cosine(quarter << 62)), quarters);
        let zeros = [0, 1, 2, 3].map(|quarter: u64| sine_cosine(quarter << 62)).map(|(sine, cosine)| sine * cosine);
        assert_eq!(zeros.map(f32::abs), [0.0; 4]);
    }

    #[test]
    fn no_result_is_beyond_one() {
        for phase in
            random().take(if cfg!(miri) { 300 } else { 300_000 }).flat_map(|phase| [phase, phase >> 20, phase >> 40])
        {
            let (sine, cosine) = sine_cosine(phase);
            assert!(sine.abs() <= 1.0 && cosine.abs() <= 1.0, "{phase}");
        }
    }

    #[test]
    fn coefficients_are_what_they_say() {
        let nodes: [f64; 4] = core::array::from_fn(|k| (1.0 + ((2 * k + 1) as f64 * FRAC_PI_4 / 2.0).cos()) / 2.0);
        let sine = |u: f64| (FRAC_PI_4 * u.sqrt()).sin() / u.sqrt();
        let cosine = |u: f64| -2.0 * (FRAC_PI_4 * u.sqrt() / 2.0).sin().powi(2) / u;
        for (table, unit, of) in [(SINE, 31, &sine as &dyn Fn(f64) -> f64), (COSINE, 32, &cosine)] {
            // Lagrange's form of the cubic, multiplied out.
            let mut want = [0.0; 4];
            for (i, &node) in nodes.iter().enumerate() {
                let mut term = [of(node), 0.0, 0.0, 0.0];
                for (_, &other) in nodes.iter().enumerate().filter(|&(j, _)| j != i) {
                    let shifted = [0.0, term[0], term[1], term[2]];
                    term = core::array::from_fn(|k| (shifted[k] - other * term[k]) / (node - other));
                }
                want.iter_mut().zip(term).for_each(|(want, term)| *want += term);
            }
            for (k, (want, got)) in want.into_iter().zip(table).enumerate() {
                let want = want * 2f64.powi(unit + 2 * k as i32);
                assert!((f64::from(got) - want).abs() < 0.5 + 1e-3, "{k}: {got} for {want}");
            }
        }
    }

    #[test]
    fn angles_are_exact_at_every_position() {
        let turns: Vec<u64> = random().skip(77).take(16).enumerate().map(|(i, turns)| turns >> (3 * i)).collect();
        let bytes: Vec<[u8; 8]> = turns.iter().map(|turns| turns.to_le_bytes()).collect();
        let positions = random().skip(5).map(|x| (x >> 40) as u32).take(if cfg!(miri) { 10 } else { 3000 });
        for position in positions.chain([0, 1, (1 << 24) - 1, u32::MAX]) {
            let mut out = [f32::NAN; 32];
            angles(&mut out, &bytes, position);
            for (&turns, &[cosine, sine]) in turns.iter().zip(out.as_chunks().0) {
                let phase = (u128::from(position) * u128::from(turns) % (1 << 64)) as u64;
                assert!(error(phase, (sine, cosine)) < BOUND, "{position} {turns}");
            }
        }
    }

    #[test]
    fn pairs_turn_and_the_rest_stays() {
        let turns = [1_u64 << 62, 1 << 61, 12_345 << 40].map(u64::to_le_bytes);
        let mut angle = [0.0; 6];
        angles(&mut angle, &turns, 3);
        let before = [1.5, -2.0, 0.7, 3.25, 4.0, -0.1, 11.0, f32::NAN];
        let mut x = before;
        rotate(&mut x, &angle);
        for i in 0..3 {
            let [cosine, sine] = [angle[2 * i], angle[2 * i + 1]];
            let (a, b) = (before[i], before[i + 3]);
            assert_eq!((x[i], x[i + 3]), (a * cosine - b * sine, b * cosine + a * sine));
        }
        // Three quarters of a turn.
        assert_eq!((x[0], x[3]), (3.25, -1.5));
        assert!(x[6] == 11.0 && x[7].is_nan());
        rotate(&mut x, &[]);
        assert_eq!(x[6], 11.0);
    }

    #[test]
    fn rotations_undo_each_other() {
        let turns = [0x1234_5678_9ABC_DEF0_u64, 0xFFF0_0000_1111_2222].map(u64::to_le_bytes);
        let back = turns.map(|turns| u64::from_le_bytes(turns).wrapping_neg().to_le_bytes());
        let (mut there, mut again) = ([0.0; 4], [0.0; 4]);
        for position in (0..100_000).step_by(997) {
            angles(&mut there, &turns, position);
            angles(&mut again, &back, position);
            let mut x = [1.0, -3.0, 0.5, 2.0];
            rotate(&mut x, &there);
            rotate(&mut x, &again);
            for (x, want) in x.into_iter().zip([1.0_f32, -3.0, 0.5, 2.0]) {
                assert!((x - want).abs() < 2e-6, "{position}: {x} {want}");
            }
        }
    }
}
