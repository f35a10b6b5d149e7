//! What the targets of a cross-check come to.

use emberlm_core::loss::Score;
use serde::Serialize;

use crate::engine::divergence::Difference;

/// One target, scored by both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The blob's loss in nats.
    pub nll: f32,
    /// How its distribution differs from the reference's.
    pub difference: Difference,
}

/// What a blob's cross-check comes to, over all targets. `None` where there are too few of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The reference's mean loss in nats.
    pub loss_checkpoint: Option<f64>,
    /// The blob's, the same bits as [`score_blob`](super::super::evaluate::score_blob) gives.
    pub loss_blob: Option<f64>,
    /// Mean of the blob's loss minus the reference's.
    pub delta_nll: Option<f64>,
    /// Standard error of that mean, targets taken as independent pairs.
    pub delta_nll_stderr: Option<f64>,
    /// Kullback-Leibler divergence of the blob from the reference: mean, in nats.
    pub kl_mean: Option<f64>,
    /// The least divergence that 99 of 100 targets do not exceed.
    pub kl_p99: Option<f64>,
    /// The largest.
    pub kl_max: Option<f64>,
    /// Share of targets where both find the same token most likely.
    pub top1_agreement: Option<f64>,
    /// The largest difference of a logit.
    pub max_logit_error: Option<f64>,
    /// Root mean square of the blob's probability of the target minus the reference's.
    #[serde(skip)]
    pub target_probability_rms: Option<f64>,
}

/// What the targets come to, in order.
pub fn summarize<'s>(scored: impl Iterator<Item = &'s Scored> + Clone) -> Summary {
    let n = scored.clone().count();
    if n == 0 {
        return Summary::default();
    }
    let mean = |of: &dyn Fn(&Scored) -> f64| scored.clone().map(of).sum::<f64>() / n as f64;
    let delta = |scored: &Scored| f64::from(scored.nll) - scored.difference.nll;
    let delta_nll = mean(&delta);
    let variance = mean(&|scored| (delta(scored) - delta_nll).powi(2));
    let mut kl: Vec<f64> = scored.clone().map(|scored| scored.difference.kl).collect();
    kl.sort_unstable_by(f64::total_cmp);
    let mut score = Score::new();
    scored.clone().for_each(|scored| score.push(scored.nll));
    Summary {
        loss_checkpoint: Some(mean(&|scored| scored.difference.nll)),
        loss_blob: score.mean(),
        delta_nll: Some(delta_nll),
        delta_nll_stderr: (n > 1).then(|| (variance / (n - 1) as f64).sqrt()),
        kl_mean: Some(mean(&|scored| scored.difference.kl)),
        kl_p99: Some(kl[(99 * n).div_ceil(100) - 1]),
        kl_max: Some(kl[n - 1]),
        top1_agreement: Some(mean(&|scored| f64::from(u8::from(scored.difference.same_top())))),
        max_logit_error: scored.clone().map(|scored| scored.difference.max_logit_error).reduce(f64::max),
        target_probability_rms: Some(mean(&|scored| scored.difference.target_probability.powi(2)).sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_targets_come_to() {
        let scored: Vec<Scored> = (0..200)
            .map(|i| Scored {
                nll: if i % 2 == 0 { 2.5 } else { 1.5 },
                difference: Difference {
                    nll: if i % 2 == 0 { 2.0 } else { 1.5 },
                    kl: f64::from(i),
                    tops: [0, u32::from(i % 4 == 0)],
                    max_logit_error: f64::from(i % 7),
                    target_probability: if i % 2 == 0 { -0.25 } else { 0.25 },
                },
            })
            .collect();
        let summary = summarize(scored.iter());
        assert_eq!((summary.loss_checkpoint, summary.loss_blob), (Some(1.75), Some(2.0)));
        assert_eq!(summary.delta_nll, Some(0.25));
        assert!((summary.delta_nll_stderr.unwrap() - 0.25 / 199f64.sqrt()).abs() < 1e-15);
        assert_eq!((summary.kl_mean, summary.kl_p99, summary.kl_max), (Some(99.5), Some(197.0), Some(199.0)));
        assert_eq!((summary.top1_agreement, summary.max_logit_error), (Some(0.75), Some(6.0)));
        assert_eq!(summary.target_probability_rms, Some(0.25));
    }

    #[test]
    fn nothing_comes_to_nothing() {
        assert_eq!(summarize([].iter()), Summary::default());
        let difference = Difference { nll: 1.0, kl: 0.5, tops: [0; 2], max_logit_error: 0.0, target_probability: 0.0 };
        let one = summarize([Scored { nll: 1.0, difference }].iter());
        assert_eq!((one.delta_nll, one.delta_nll_stderr, one.kl_p99), (Some(0.0), None, Some(0.5)));
    }
}
