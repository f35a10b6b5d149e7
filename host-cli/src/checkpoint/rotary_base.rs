//! The rotary base behind a file's tables of cosines and sines.

/// The base where there are no tables.
pub const DEFAULT: f64 = 10_000.0;

/// The base that gives tables `[positions, pairs]`: with the fewest digits, up to nine. `None` if none does.
///
/// The tables hold f32, and were computed in it: frequencies and angles are off by a few of its steps.
pub fn find(cosines: &[f32], sines: &[f32], pairs: usize) -> Option<f64> {
    let gives = |base: f64| {
        let frequencies: Vec<f64> = (0..pairs).map(|pair| frequency(base, pair, pairs)).collect();
        let rows = cosines.chunks_exact(pairs).zip(sines.chunks_exact(pairs));
        rows.enumerate().all(|(position, (cosines, sines))| {
            frequencies.iter().zip(cosines.iter().zip(sines)).all(|(frequency, (cosine, sine))| {
                const STEP: f64 = f32::EPSILON as f64;
                let angle = position as f64 * frequency;
                let most = STEP * (2.0 + 4.0 * angle);
                (libm::cos(angle) - f64::from(*cosine)).abs() <= most
                    && (libm::sin(angle) - f64::from(*sine)).abs() <= most
            })
        })
    };
    let (cosine, sine) = (cosines.get(pairs..)?.get(pairs - 1), sines.get(pairs..)?.get(pairs - 1));
    let (Some(cosine), Some(sine), 2..) = (cosine, sine, pairs) else {
        // One position or one pair says nothing of the base.
        return gives(DEFAULT).then_some(DEFAULT);
    };
    let slowest = libm::atan2(f64::from(*sine), f64::from(*cosine));
    let estimate = libm::pow(slowest, -(pairs as f64) / (pairs as f64 - 1.0));
    if !estimate.is_finite() {
        return None;
    }
    (0..9).map(|digits| rounded(estimate, digits)).find(|&base| base > 0.0 && gives(base))
}

/// Radians a position.
fn frequency(base: f64, pair: usize, pairs: usize) -> f64 {
    libm::pow(base, -(pair as f64) / pairs as f64)
}

/// A number with so many digits after the first.
fn rounded(number: f64, digits: usize) -> f64 {
    format!("{number:.digits$e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PyTorch makes them, in f32.
    fn tables(base: f32, pairs: usize, positions: usize, stretch: f32) -> [Vec<f32>; 2] {
        let frequencies: Vec<f32> =
            (0..pairs).map(|pair| 1.0 / base.powf(2.0 * pair as f32 / (2 * pairs) as f32)).collect();
        let angles = (0..positions).flat_map(|t| frequencies.iter().map(move |f| t as f32 * f / stretch));
        let angles: Vec<f32> = angles.collect();
        [angles.iter().map(|angle| angle.cos()).collect(), angles.iter().map(|angle| angle.sin()).collect()]
    }

    fn found(base: f32, pairs: usize, positions: usize) -> Option<f64> {
        let [cosines, sines] = tables(base, pairs, positions, 1.0);
        find(&cosines, &sines, pairs)
    }

    #[test]
    fn bases_are_found_as_they_were_spelled() {
        for base in [10_000.0, 10_007.0, 100_000.0, 500_000.0, 1_000_000.0, 26_000.0, 12.5] {
            for (pairs, positions) in [(2, 40), (4, 512), (24, 256), (64, 2048)] {
                assert_eq!(found(base, pairs, positions), Some(f64::from(base)), "{base}: {pairs} {positions}");
            }
        }
        assert_eq!((found(500.0, 1, 16), found(500.0, 8, 1)), (Some(DEFAULT), Some(DEFAULT)));
    }

    #[test]
    fn tables_of_something_else_are_of_no_base() {
        let [cosines, sines] = tables(10_000.0, 8, 64, 2.0);
        assert_eq!(find(&cosines, &sines, 8), None);
        assert_eq!(find(&[0.0; 64], &[0.0; 64], 8), None);
        assert_eq!(find(&[f32::NAN; 64], &[f32::NAN; 64], 8), None);
        let [cosines, mut sines] = tables(10_000.0, 8, 64, 1.0);
        sines[100] += 1e-3;
        assert_eq!(find(&cosines, &sines, 8), None);
    }
}
