//! The windows of all rows, in scored order.

use emberlm_core::config::TokenId;
use emberlm_core::window::Window;

use super::windowing::Windowing;
use crate::ground::shown;
use crate::text::input::{Input, Row};

/// One window of one row.
#[derive(Clone, Copy, Debug)]
pub struct Job<'i> {
    /// The row.
    pub row: &'i Row,
    /// The window in it.
    pub window: Window,
}

impl<'i> Job<'i> {
    /// Every window that `windowing` makes of `input`, rows in order.
    pub fn all(input: &'i Input, windowing: &Windowing) -> Vec<Self> {
        let of_row = |row: &'i Row| windowing.windows(row.tokens.len()).map(move |window| Self { row, window });
        input.rows().iter().flat_map(of_row).collect()
    }

    /// The inputs, then the final target.
    pub fn tokens(&self) -> &'i [TokenId] {
        &self.row.tokens[self.window.start..=self.window.start + self.window.n_inputs]
    }

    /// The most inputs of any window.
    pub fn longest(jobs: &[Self]) -> usize {
        jobs.iter().map(|job| job.window.n_inputs).max().unwrap_or(0)
    }

    /// Targets that all windows score.
    pub fn n_scored(jobs: &[Self]) -> u64 {
        jobs.iter().map(|job| job.window.n_scored() as u64).sum()
    }
}

impl std::fmt::Display for Job<'_> {
    /// Where the window lies, for errors.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the window at token {} of {}", self.window.start, shown::message(&self.row.name))
    }
}
