//! What is scored, and how.

use emberlm_core::loss::Score;

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
    /// UTF-8 bytes that the targets of each window spell, where they are known.
    pub window_bytes: Option<Vec<u64>>,
}

impl Task {
    /// Every window, rows in order.
    pub fn jobs(&self) -> Vec<Job<'_>> {
        Job::all(&self.input, &self.windowing)
    }

    /// UTF-8 bytes that all targets spell, where they are known.
    pub fn bytes(&self) -> Option<u64> {
        self.window_bytes.as_ref().map(|bytes| bytes.iter().sum())
    }

    /// What the losses of `jobs`, a list a window, come to in each text.
    pub fn scores_of_texts(&self, jobs: &[Job<'_>], nlls: &[Vec<f32>]) -> Vec<Score> {
        let mut scores = vec![Score::new(); self.input.files().len()];
        for (job, nlls) in jobs.iter().zip(nlls) {
            nlls.iter().for_each(|&nll| scores[job.row.text].push(nll));
        }
        scores
    }
}
