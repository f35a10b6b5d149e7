//! Layer normalisation (Ba, Kiros and Hinton, 2016) without its scale and shift, which are weights and come in blocks.

use super::reduce::sum_by;

/// `out = (x - mean) / sqrt(variance + epsilon)`, both `[n]`; the variance is the biased one.
pub fn normalize(out: &mut [f32], x: &[f32], epsilon: f32) {
    let n = x.len() as f32;
    let mean = sum_by(x, |v| v) / n;
    let variance = sum_by(x, |v| (v - mean) * (v - mean)) / n;
    let inverse = 1.0 / libm::sqrtf(variance + epsilon);
    for (out, &v) in out.iter_mut().zip(x) {
        *out = (v - mean) * inverse;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_zero_variance_one() {
        let x: std::vec::Vec<f32> = (0..61).map(|i| ((i * 29) % 61) as f32 * 0.3 - 4.0).collect();
        let mut y = std::vec![0.0; 61];
        normalize(&mut y, &x, 0.0);
        let mean = y.iter().map(|&v| f64::from(v)).sum::<f64>() / 61.0;
        let variance = y.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / 61.0;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6, "{mean} {variance}");
    }

    #[test]
    fn a_constant_row_is_zero() {
        let mut y = [1.0; 5];
        normalize(&mut y, &[3.0; 5], 1e-5);
        assert_eq!(y, [0.0; 5]);
    }
}
