//! Elementwise operations.

use super::mismatch::{Mismatch, bits};
use super::random::Random;
use crate::ops::exp::exp_fixed;
use crate::ops::lanes::{Lanes, Plain};
use crate::ops::vector::Update;
use alloc::vec;
use alloc::vec::Vec;
use core::array::from_fn;

const UPDATES: [Update; 3] = [Update::Set, Update::Add, Update::Scale];

/// What a whole vector may be: what overflows, is too small for a normal number, is zero, or none.
const EDGES: [f32; 8] =
    [f32::MAX, f32::MIN, -1e-40, f32::MIN_POSITIVE, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];

/// Compares updates by floats at every address, scaling and roots; says how many vectors there were.
pub(super) fn check(lanes: &impl Lanes, random: &mut Random) -> Result<usize, Mismatch> {
    let mut vectors = 0;
    for len in 0..=if cfg!(miri) { 9 } else { 41 } {
        let mut floats = |n| (0..n).map(|_| random.float()).collect::<Vec<f32>>();
        let (x, weights, by) = (floats(len), floats(len), floats(1)[0]);
        let edges = EDGES.map(|edge| vec![edge; len]);
        for (x, weights, by) in core::iter::once((&x, &weights, by))
            .chain(edges.iter().map(|edges| (edges, &weights, by)))
            .chain(edges.iter().zip(EDGES).map(|(edges, edge)| (&x, edges, edge)))
        {
            vectors += operations(lanes, x, weights, by)? + terms(lanes, x)? + bumps(lanes, x, random)?;
            vectors += exponentials(lanes, x)?;
        }
        for near in [1.0, 127.0, 129.0, 1e9] {
            let x: Vec<f32> = (0..len).map(|_| near * (random.next() as i32 as f32 / 2_147_483_648.0)).collect();
            vectors += terms(lanes, &x)? + bumps(lanes, &x, random)? + exponentials(lanes, &x)?;
        }
    }
    let roots = (0..if cfg!(miri) { 10 } else { 1000 })
        .map(|_| f32::from_bits(random.next() >> 1))
        .chain([0.0, -0.0, 1e-40])
        .chain(EDGES);
    for x in roots {
        if bits([lanes.sqrt(x)]) != bits([Plain.sqrt(x)]) {
            return Err(Mismatch::Vector { len: 1 });
        }
    }
    Ok(vectors)
}

fn operations(lanes: &impl Lanes, x: &[f32], weights: &[f32], by: f32) -> Result<usize, Mismatch> {
    let mismatch = Err(Mismatch::Vector { len: x.len() });
    for offset in 0..4 {
        let mut bytes = vec![0; offset];
        bytes.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
        let weights = bytes[offset..].as_chunks().0;
        for update in UPDATES {
            let plain = after(x, |x| Plain.update(x, weights, update));
            if after(x, |x| lanes.update(x, weights, update)) != plain {
                return mismatch;
            }
        }
    }
    if after(x, |x| lanes.scale(x, by)) != after(x, |x| Plain.scale(x, by)) {
        return mismatch;
    }
    Ok(4 * UPDATES.len() + 1)
}

/// Compares functions that are their argument, or 0, less a bump.
fn bumps(lanes: &impl Lanes, x: &[f32], random: &mut Random) -> Result<usize, Mismatch> {
    bump::<97>(lanes, x, (6.0, 4), random)?;
    bump::<177>(lanes, x, (22.0, 3), random)?;
    Ok(2)
}

/// One of `N` cubics `2^-spacing` apart, as many as reach to `far`.
fn bump<const N: usize>(
    lanes: &impl Lanes,
    x: &[f32],
    (far, spacing): (f32, i32),
    random: &mut Random,
) -> Result<(), Mismatch> {
    let cubics: [[i32; 4]; N] = from_fn(|_| from_fn(|_| random.next() as i32 >> 3));
    let kernel = after(x, |out| lanes.less_bump(out, x, &cubics, far, spacing));
    let plain = after(x, |out| Plain.less_bump(out, x, &cubics, far, spacing));
    if kernel == plain { Ok(()) } else { Err(Mismatch::Vector { len: x.len() }) }
}

/// Checks sums of exponentials: those that are taken are whole, and leave room.
fn exponentials(lanes: &impl Lanes, x: &[f32]) -> Result<usize, Mismatch> {
    const STARTS: [(u64, i32); 5] = [(0, 200), (1 << 61, 3), ((1 << 63) - 1, 1), (7, 0), (5, -(1 << 30))];
    for (start, reference) in STARTS {
        let (sum, n) = lanes.add_exponentials(start, reference, x);
        let terms = x.iter().take(n).map(|&x| {
            let (exponent, factor) = exp_fixed(x);
            let right = u32::try_from(reference - exponent).ok().filter(|&right| right > 0)?;
            Some((u128::from(factor) << 31).checked_shr(right).unwrap_or(0))
        });
        let want = terms.sum::<Option<u128>>().map(|terms| u128::from(start) + terms);
        if n > x.len() || want != Some(sum.into()) || sum >> 63 != 0 {
            return Err(Mismatch::Vector { len: x.len() });
        }
    }
    Ok(STARTS.len())
}

/// Compares a softmax's terms, the greatest weight being little or much below 1.
fn terms(lanes: &impl Lanes, x: &[f32]) -> Result<usize, Mismatch> {
    for above in [1, 100] {
        if terms_of(lanes, x, above) != terms_of(&Plain, x, above) {
            return Err(Mismatch::Vector { len: x.len() });
        }
    }
    Ok(2)
}

/// Exponents, the greatest of them behind, and bits of factors, weights and their sum.
fn terms_of(lanes: &impl Lanes, x: &[f32], above: i32) -> (Vec<i32>, Vec<u32>) {
    let (mut terms, mut exponents) = (x.to_vec(), vec![7; x.len() + 1]);
    let most = lanes.exp_terms(&mut terms, &mut exponents);
    let factors = terms.clone();
    let sum = lanes.weigh_terms(&mut terms, &exponents, most.saturating_add(above), 0.5);
    exponents.push(most);
    (exponents, bits(factors.into_iter().chain(terms).chain([sum])))
}

/// The bits of `x` after the operation.
fn after(x: &[f32], operation: impl FnOnce(&mut [f32])) -> Vec<u32> {
    let mut x = x.to_vec();
    operation(&mut x);
    bits(x)
}
