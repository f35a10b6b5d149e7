//! Where the targets of a run lie.

use super::jobs::Job;
use crate::text::input::Row;

/// Where a target lies.
#[derive(Clone, Copy, Debug)]
pub struct Place<'i> {
    /// Its row.
    pub row: &'i Row,
    /// Its index in the row.
    pub token: usize,
    /// Tokens of its window before it, which it is predicted from: 1 to `n_ctx`.
    pub seen: usize,
}

impl<'i> Place<'i> {
    /// Every target of `jobs`, in scored order.
    pub fn all(jobs: &[Job<'i>]) -> Vec<Self> {
        let of_job = |&Job { row, window }: &Job<'i>| {
            (window.first_scored + 1..=window.n_inputs).map(move |seen| Self { row, token: window.start + seen, seen })
        };
        jobs.iter().flat_map(of_job).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Windowing;
    use super::*;
    use crate::text::input::Source;
    use crate::text::tokenizer::{SectionParts, Tokenizer};
    use emberlm_core::window::Convention;

    #[test]
    fn every_target_once_with_what_it_is_predicted_from() {
        let tokenizer = Tokenizer::from_parts(SectionParts::Chars(vec!['a']), "test").unwrap();
        let input = Source::Prompt("a".repeat(8)).read(Some(&tokenizer), 1, 100).unwrap();
        let places = |convention| -> Vec<(usize, usize)> {
            let jobs = Job::all(&input, &Windowing::new(convention, 4));
            Place::all(&jobs).iter().map(|place| (place.token, place.seen)).collect()
        };
        assert_eq!(places(Convention::Disjoint), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 1), (6, 2), (7, 3)]);
        let sliding = places(Convention::Sliding { stride: 2 });
        assert_eq!(sliding.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert!(sliding.iter().all(|(_, seen)| (1..=4).contains(seen)) && sliding[6].1 > 2, "{sliding:?}");
    }
}
