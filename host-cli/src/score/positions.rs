//! Losses by how much of the context a target is predicted from.

use super::crosscheck::Scored;
use super::places::Place;

/// The most spans that a context is divided into.
const MOST: usize = 32;

/// Targets that are predicted from `first ..= last` tokens, and what they come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The fewest tokens before a target of it.
    pub first: usize,
    /// The most.
    pub last: usize,
    /// Its targets, at least one.
    pub tokens: u64,
    /// The reference's mean loss in nats.
    pub loss_checkpoint: f64,
    /// Each blob's mean loss in nats.
    pub losses: Vec<f64>,
    /// Mean divergence of each blob from the reference, in nats.
    pub kl_means: Vec<f64>,
}

/// What the targets at `places` come to, in up to 32 spans of equal length that together are `1 ..= n_ctx`; those without
/// a target are left out. `scored` has as many targets a blob, in the same order.
pub fn by_position(places: &[Place<'_>], scored: &[Vec<Scored>], n_ctx: usize) -> Vec<Span> {
    let length = n_ctx.div_ceil(MOST).max(1);
    let of_span = |index: usize| {
        let (first, last) = (index * length + 1, n_ctx.min((index + 1) * length));
        let targets: Vec<usize> =
            (0..places.len()).filter(|&target| (first..=last).contains(&places[target].seen)).collect();
        let mean = |of: &Vec<Scored>, value: fn(&Scored) -> f64| {
            targets.iter().map(|&target| value(&of[target])).sum::<f64>() / targets.len() as f64
        };
        let means = |value| scored.iter().map(|of| mean(of, value)).collect();
        (!targets.is_empty()).then(|| Span {
            first,
            last,
            tokens: targets.len() as u64,
            loss_checkpoint: scored.first().map_or(f64::NAN, |of| mean(of, |scored| scored.difference.nll)),
            losses: means(|scored| scored.nll.into()),
            kl_means: means(|scored| scored.difference.kl),
        })
    };
    (0..n_ctx.div_ceil(length)).filter_map(of_span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::divergence::Difference;
    use crate::text::input::Row;

    #[test]
    fn spans_are_of_equal_length_and_means_of_their_targets() {
        let row = Row { name: String::new(), text: 0, tokens: Vec::new() };
        let seen = [1, 2, 3, 4, 5, 66, 1];
        let places = seen.map(|seen| Place { row: &row, token: 0, seen });
        let scored = |nll: f32| Scored {
            nll,
            difference: Difference {
                nll: f64::from(nll) - 0.5,
                kl: f64::from(nll) / 8.0,
                tops: [0; 2],
                max_logit_error: 0.0,
                target_probability: 0.0,
            },
        };
        let all = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0].map(scored).to_vec();
        let spans = by_position(&places, std::slice::from_ref(&all), 66);
        let ranges: Vec<_> = spans.iter().map(|span| (span.first, span.last, span.tokens)).collect();
        assert_eq!(ranges, [(1, 3, 4), (4, 6, 2), (64, 66, 1)]);
        assert_eq!((spans[0].losses[0], spans[0].loss_checkpoint, spans[0].kl_means[0]), (3.5, 3.0, 3.5 / 8.0));
        let narrow = by_position(&places[..2], &[all], 2);
        assert_eq!(narrow.iter().map(|span| (span.first, span.last)).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
        assert_eq!(by_position(&[], &[Vec::new()], 4), []);
    }
}
