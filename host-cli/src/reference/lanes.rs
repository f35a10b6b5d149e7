//! Sums, maxima and exponentials over slices, several elements at a time.
//!
//! Lanes and their order are fixed and no multiplication is fused with an addition, so that every processor comes to the
//! same bits.

use std::ops::Mul;

use super::gemm::Element;

/// Elements that are looked at together.
const LANES: usize = 16;

/// Functions that are compiled for AVX2 too, and take that where the processor has it. What they call has to be always
/// inlined.
macro_rules! in_lanes {
    ($($(#[$attribute:meta])* $vis:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block)*) => {
        $($(#[$attribute])* $vis fn $name($($argument: $type),*) $(-> $out)? {
            #[inline(always)]
            fn plain($($argument: $type),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn with_avx2($($argument: $type),*) $(-> $out)? {
                    plain($($argument),*)
                }
                if is_x86_feature_detected!("avx2") {
                    #[allow(unsafe_code)]
                    // SAFETY: the processor has what it is compiled for.
                    return unsafe { with_avx2($($argument),*) };
                }
            }
            plain($($argument),*)
        })*
    };
}
pub(crate) use in_lanes;

/// The sum of `of` each element, of which little is asked.
#[inline(always)]
pub fn sum(x: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += of(chunk[lane]);
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum += of(x);
    }
    total(sums)
}

/// The sum of products.
#[inline(always)]
pub fn dot<T: Element + Mul<Output = T>>(a: &[T], b: &[T]) -> T {
    sum_pairs(a, b, |a, b| a * b)
}

/// The sum of `of` each pair of elements, of which little is asked.
#[inline(always)]
pub fn sum_pairs<T: Element>(a: &[T], b: &[T], of: impl Fn(T, T) -> T) -> T {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [T::default(); LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += of(a[lane], b[lane]);
        }
    }
    for (sum, (&a, &b)) in sums.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *sum += of(a, b);
    }
    total(sums)
}

/// `y += a x`.
#[inline(always)]
pub fn add_scaled<T: Element + Mul<Output = T>>(y: &mut [T], a: T, x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// Puts `e^(scale (x - above))` of each element in its place, rounded to f32. Returns the sum before rounding.
#[inline(always)]
pub fn exponentials(x: &mut [f32], above: f64, scale: f64) -> f64 {
    let (chunks, rest) = x.as_chunks_mut::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            let exponential = exp((f64::from(chunk[lane]) - above) * scale);
            sums[lane] += exponential;
            chunk[lane] = exponential as f32;
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        let exponential = exp((f64::from(*x) - above) * scale);
        *sum += exponential;
        *x = exponential as f32;
    }
    total(sums)
}

/// The largest number; minus infinity where there is none.
#[inline(always)]
pub fn max(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut maxima = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            maxima[lane] = if chunk[lane] > maxima[lane] { chunk[lane] } else { maxima[lane] };
        }
    }
    for (max, &x) in maxima.iter_mut().zip(rest) {
        *max = if x > *max { x } else { *max };
    }
    maxima.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// The sum of the lanes, halves upon halves.
#[inline(always)]
fn total<T: Element>(mut sums: [T; LANES]) -> T {
    let mut half = LANES;
    while half > 1 {
        half /= 2;
        for lane in 0..half {
            let high = sums[lane + half];
            sums[lane] += high;
        }
    }
    sums[0]
}

/// `e^x` without a branch, within two units of the last place where that is a normal number; 0 below, and the largest
/// numbers above.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    /// Added and taken away, it rounds to the nearest integer, which its low bits then hold.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2, of which the first part has trailing zeros enough for exact multiples.
    const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
    /// 1 / k!
    const TERMS: [f64; 14] = {
        let mut terms = [1.0; 14];
        let mut k = 1;
        while k < 14 {
            terms[k] = terms[k - 1] / k as f64;
            k += 1;
        }
        terms
    };
    // What is not a number stays so.
    let x = if x > 709.0 { 709.0 } else { x };
    let shifted = if x < -708.0 { -708.0 } else { x } * std::f64::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = (x - whole * LN_2[0]) - whole * LN_2[1];
    let mut series = TERMS[13];
    let mut k = 13;
    while k > 0 {
        k -= 1;
        series = series * rest + TERMS[k];
    }
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    if x < -708.0 { 0.0 } else { series * power }
}

in_lanes! {
    /// The sum of `e^(x - above)` of each element, and of the same times `x - above`; what is not finite counts nothing in the
    /// second.
    pub fn masses(x: &[f32], above: f64) -> (f64, f64) {
        let (chunks, rest) = x.as_chunks::<LANES>();
        let (mut sums, mut weighted) = ([0.0; LANES], [0.0; LANES]);
        for chunk in chunks {
            for lane in 0..LANES {
                let below = f64::from(chunk[lane]) - above;
                let mass = exp(below);
                sums[lane] += mass;
                weighted[lane] += if below.is_finite() { mass * below } else { 0.0 };
            }
        }
        for ((sum, weighted), &x) in sums.iter_mut().zip(&mut weighted).zip(rest) {
            let below = f64::from(x) - above;
            let mass = exp(below);
            *sum += mass;
            *weighted += if below.is_finite() { mass * below } else { 0.0 };
        }
        (total(sums), total(weighted))
    }

    /// [`max`], where nothing else is done with the elements.
    pub fn largest(x: &[f32]) -> f32 {
        max(x)
    }

    /// [`exponentials`], where nothing else is done with the elements.
    pub fn exponentiate(x: &mut [f32], above: f64, scale: f64) -> f64 {
        exponentials(x, above, scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_the_library() {
        for x in (-70_800..70_900).map(|x| f64::from(x) * 0.01 + 1e-3).chain([0.0, 1e-300, -1e-17, 0.346, -0.347]) {
            let (found, expected) = (exp(x), libm::exp(x));
            let ulp = f64::from_bits(expected.to_bits() + 1) - expected;
            assert!((found - expected).abs() <= 2.0 * ulp, "{x}: {found:e} {expected:e}");
        }
        assert_eq!([f64::NEG_INFINITY, -1e300, -708.5, 0.0].map(exp), [0.0, 0.0, 0.0, 1.0]);
        assert!([f64::INFINITY, 1e300, 800.0].iter().all(|&x| exp(x) > 8e307) && exp(f64::NAN).is_nan());
    }

    #[test]
    fn vector_units_change_no_bit() {
        let x: Vec<f32> = (0..1003).map(|index| ((index * 7919 % 1009) as f32 - 504.0) / 30.0).collect();
        let (mut plain, mut vector) = (x.clone(), x.clone());
        let sums = [exponentials(&mut plain, 17.0, 0.5), exponentiate(&mut vector, 17.0, 0.5)];
        assert_eq!((sums[0].to_bits(), plain), (sums[1].to_bits(), vector));
        let expected: f64 = x.iter().map(|&x| ((f64::from(x) - 17.0) * 0.5).exp()).sum();
        assert!((sums[0] / expected - 1.0).abs() < 1e-13);
        assert_eq!(masses(&x, 34.0).0.to_bits(), exponentials(&mut x.clone(), 34.0, 1.0).to_bits());
    }

    #[test]
    fn sums_are_over_every_element() {
        for n in [0, 1, 15, 16, 17, 48, 50] {
            let x: Vec<f64> = (0..n).map(f64::from).collect();
            let squares: f64 = x.iter().map(|x| x * x).sum();
            assert_eq!((sum(&x, |x| x * x), dot(&x, &x)), (squares, squares));
            let mut y = x.clone();
            add_scaled(&mut y, 2.0, &x);
            assert!(y.iter().zip(&x).all(|(y, x)| *y == 3.0 * x));
        }
        let (sum, weighted) = masses(&[0.0, f32::NEG_INFINITY, -1.0], 0.0);
        assert!((sum - 1.0 - (-1f64).exp()).abs() < 1e-15 && (weighted + (-1f64).exp()).abs() < 1e-15);
    }

    #[test]
    fn maxima_are_the_largest_numbers() {
        for at in [0, 15, 16, 31, 32, 36] {
            let mut x = [-3.0f32; 37];
            x[at] = -1.0;
            assert_eq!(max(&x), -1.0, "{at}");
            x[(at + 17) % 37] = f32::NAN;
            assert_eq!(max(&x), -1.0, "{at}");
        }
        assert_eq!(max(&[]), f32::NEG_INFINITY);
    }
}
