//! How divergences are distributed over targets: their percentiles, how many are of which size, and the largest.

use super::crosscheck::Scored;

/// Divergences below 10 to the power of it are counted together: those of floats that were rounded twice.
const LEAST: i32 = -10;

/// Bins for each power of 10.
const PER_DECADE: i32 = 2;

/// How many divergences lie in `from .. to`, in nats.
#[derive(Clone, Debug, PartialEq)]
pub struct Bin {
    /// The least that counts.
    pub from: f64,
    /// What is too large.
    pub to: f64,
    /// Each blob's targets.
    pub counts: Vec<u64>,
}

/// The least divergence that so many of 100 targets do not exceed; `None` of no targets.
pub fn percentile(scored: &[Scored], percent: usize) -> Option<f64> {
    let mut kl: Vec<f64> = scored.iter().map(|scored| scored.difference.kl).collect();
    kl.sort_unstable_by(f64::total_cmp);
    kl.get((percent * kl.len()).div_ceil(100).max(1) - 1).copied()
}

/// How many divergences of each blob's are of which size: two bins for each power of 10, from the least that has one to the
/// largest, all below 1e-10 in one.
pub fn histogram(scored: &[Vec<Scored>]) -> Vec<Bin> {
    let all = || scored.iter().flatten().map(|scored| bin(scored.difference.kl));
    let (Some(first), Some(last)) = (all().min(), all().max()) else { return Vec::new() };
    let edge = |bin: i32| 10f64.powf(f64::from(bin) / f64::from(PER_DECADE));
    let of = |index: i32| Bin {
        from: if index == BELOW { 0.0 } else { edge(index) },
        to: edge(index + 1),
        counts: scored.iter().map(|of| of.iter().filter(|it| bin(it.difference.kl) == index).count() as u64).collect(),
    };
    (first..=last).map(of).collect()
}

/// The bin of what is too small for one of its own.
const BELOW: i32 = LEAST * PER_DECADE - 1;

/// Which bin a divergence lies in.
fn bin(kl: f64) -> i32 {
    ((kl.log10() * f64::from(PER_DECADE)).floor() as i32).max(BELOW)
}

/// The targets, by index, that diverge most, the worst first, of equals the earlier one.
pub fn worst(scored: &[Scored], n: usize) -> Vec<usize> {
    let mut targets: Vec<usize> = (0..scored.len()).collect();
    targets.sort_by(|&a, &b| scored[b].difference.kl.total_cmp(&scored[a].difference.kl));
    targets.truncate(n);
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::divergence::Difference;

    fn scored(kl: &[f64]) -> Vec<Scored> {
        let of = |&kl: &f64| Scored {
            nll: 1.0,
            difference: Difference { nll: 1.0, kl, tops: [0; 2], max_logit_error: 0.0, target_probability: 0.0 },
        };
        kl.iter().map(of).collect()
    }

    #[test]
    fn percentiles_are_divergences_that_some_target_has() {
        let all = scored(&(1..=200).map(f64::from).collect::<Vec<_>>());
        assert_eq!([50, 90, 99].map(|percent| percentile(&all, percent)), [100.0, 180.0, 198.0].map(Some));
        assert_eq!(percentile(&scored(&[0.5]), 50), Some(0.5));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn every_target_is_in_one_bin() {
        let blobs = [scored(&[0.0, 1e-15, 2e-3, 2e-3, 0.5]), scored(&[4e-2, 4e-2, 4e-2, 2e-3, 7.0])];
        let bins = histogram(&blobs);
        let sum = |blob: usize| bins.iter().map(|bin| bin.counts[blob]).sum::<u64>();
        assert_eq!((sum(0), sum(1)), (5, 5));
        assert_eq!((bins[0].from, &bins[0].counts), (0.0, &vec![2, 0]));
        assert!(bins.iter().all(|bin| bin.from < bin.to) && bins.is_sorted_by(|a, b| a.to == b.from));
        for bin in &bins {
            let inside = blobs[1].iter().filter(|it| (bin.from..bin.to).contains(&it.difference.kl)).count() as u64;
            assert_eq!(bin.counts[1], inside, "{bin:?}");
        }
        assert_eq!(histogram(&[Vec::new()]), []);
        let close = histogram(&[scored(&[2e-3, 2e-3])]);
        assert_eq!(close.len(), 1);
    }

    #[test]
    fn the_worst_come_first() {
        assert_eq!(worst(&scored(&[0.1, 0.4, 0.2, 0.4]), 3), [1, 3, 2]);
        assert_eq!(worst(&[], 3), [0usize; 0]);
    }
}
