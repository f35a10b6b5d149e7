//! The loss so far, while windows are scored.

use std::sync::{Mutex, PoisonError};

use super::console::{Console, Progress};
use crate::score::Job;

/// A progress bar that says what the loss is so far. Windows end in no order, so that it is no figure of a report: it is
/// summed as it comes, and says that it is running.
#[derive(Debug)]
pub struct RunningLoss {
    bar: Progress,
    so_far: Mutex<Mean>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    n: u64,
    sum: f64,
}

impl Mean {
    fn push(&mut self, nlls: &[f32]) {
        self.n += nlls.len() as u64;
        self.sum += nlls.iter().map(|&nll| f64::from(nll)).sum::<f64>();
    }

    fn message(self) -> String {
        format!("scoring, running loss {:.4}", self.sum / self.n.max(1) as f64)
    }
}

impl RunningLoss {
    /// For the targets of `jobs`.
    pub fn new(jobs: &[Job<'_>], console: Console) -> Self {
        Self { bar: console.progress(Job::n_scored(jobs), "scoring"), so_far: Mutex::default() }
    }

    /// These losses of a window are there. Any thread may say so.
    pub fn push(&self, nlls: &[f32]) {
        let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        so_far.push(nlls);
        self.bar.name(so_far.message());
        self.bar.advance(nlls.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_mean_of_what_came() {
        let mut mean = Mean::default();
        assert_eq!(mean.message(), "scoring, running loss 0.0000");
        mean.push(&[1.0, 2.0]);
        assert_eq!(mean.message(), "scoring, running loss 1.5000");
        mean.push(&[]);
        mean.push(&[6.0]);
        assert_eq!(mean.message(), "scoring, running loss 3.0000");
    }
}
