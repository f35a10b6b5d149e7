//! Sums in one defined order: eight stripes, folded pairwise.

use super::alone::alone;

/// Stripes of a sum: element `i` goes to stripe `i % STRIPES`, so that a vector unit of eight lanes can follow.
pub const STRIPES: usize = 8;

/// A sum of the eight stripes: `i` meets `i + 4`, then `i + 2`, then `i + 1`.
#[inline(always)]
pub fn fold(stripes: [f32; STRIPES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = stripes;
    let add = |a, b| alone(a + b);
    add(add(add(a, e), add(c, g)), add(add(b, f), add(d, h)))
}

/// The striped sum of `term` over `x`.
#[inline(always)]
pub fn sum_by(x: &[f32], mut term: impl FnMut(f32) -> f32) -> f32 {
    let mut stripes = [0.0; STRIPES];
    for chunk in x.chunks(STRIPES) {
        for (sum, &value) in stripes.iter_mut().zip(chunk) {
            *sum = alone(*sum + term(value));
        }
    }
    fold(stripes)
}

/// Adds the products of `a`, each element loaded by `load`, and `b` to the stripes. Where a vector comes in pieces,
/// all but the last have a multiple of [`STRIPES`] elements.
#[inline(always)]
pub fn accumulate_dot<A: Copy>(stripes: &mut [f32; STRIPES], a: &[A], load: impl Fn(A) -> f32, b: &[f32]) {
    let (a_chunks, a_tail) = a.as_chunks::<STRIPES>();
    let (b_chunks, b_tail) = b.as_chunks::<STRIPES>();
    let mut sums = *stripes;
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..STRIPES {
            sums[lane] = alone(sums[lane] + load(a[lane]) * b[lane]);
        }
    }
    for ((sum, &a), &b) in sums.iter_mut().zip(a_tail).zip(b_tail) {
        *sum = alone(*sum + load(a) * b);
    }
    *stripes = sums;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_counts_once() {
        let x: std::vec::Vec<f32> = (1..=100).map(|i| i as f32).collect();
        for n in 0..x.len() {
            assert_eq!(sum_by(&x[..n], |v| v), (n * (n + 1) / 2) as f32);
            let mut stripes = [0.0; STRIPES];
            accumulate_dot(&mut stripes, &x[..n], |v| v, &x[..n]);
            assert_eq!(fold(stripes), x[..n].iter().map(|v| v * v).sum::<f32>());
        }
    }

    #[test]
    fn the_fold_is_the_specified_one() {
        let stripes = [1.0, 1e8, -1.0, 3.0, 1e-8, -1e8, 5.0, 7.0];
        assert_eq!(fold(stripes), ((1.0 + 1e-8) + (-1.0 + 5.0)) + ((1e8 + -1e8) + (3.0 + 7.0)));
    }
}
