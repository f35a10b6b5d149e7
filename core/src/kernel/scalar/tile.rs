//! The tiles in plain Rust.

use super::Integer;

/// Sets the dot products of `N` columns, of weights that are signed bytes, for each row and position.
#[inline(always)]
pub fn bytes<I: Integer, const N: usize, const R: usize, const P: usize>(
    dots: &mut [[i32; P]; R],
    weights: [&[u8; N]; R],
    x: [&[I; N]; P],
) {
    *dots = [[0; P]; R];
    for i in 0..N {
        let x: [i32; P] = x.map(|x| x[i].into());
        for (dots, weights) in dots.iter_mut().zip(weights) {
            let weight = i32::from(weights[i] as i8);
            dots.iter_mut().zip(x).for_each(|(dot, x)| *dot += weight * x);
        }
    }
}

/// Adds the dot products of 32 columns, of weights that are nibbles without a sign, for each row and position.
#[inline(always)]
pub fn nibbles<I: Integer, const R: usize, const P: usize>(
    dots: &mut [[i32; P]; R],
    weights: [&[u8; 16]; R],
    x: [&[I; 32]; P],
) {
    for i in 0..16 {
        let x: [(i32, i32); P] = x.map(|x| (x[i].into(), x[i + 16].into()));
        for (dots, weights) in dots.iter_mut().zip(weights) {
            let (low, high) = (i32::from(weights[i] & 15), i32::from(weights[i] >> 4));
            dots.iter_mut().zip(x).for_each(|(dot, (a, b))| *dot += low * a + high * b);
        }
    }
}
