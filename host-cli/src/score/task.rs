//! What is scored, and how.

use super::jobs::Job;
use super::windowing::Windowing;
use crate::text::input::Input;

/// What is scored, and how.
#[derive(Clone, Debug)]
pub struct Task {
    /// The rows.
    pub input: Input,
    /// How they are cut.
    pub windowing: Windowing,
    /// UTF-8 bytes that the targets spell, where they are known.
    pub bytes: Option<u64>,
}

impl Task {
    /// Every window, rows in order.
    pub fn jobs(&self) -> Vec<Job<'_>> {
        Job::all(&self.input, &self.windowing)
    }
}
