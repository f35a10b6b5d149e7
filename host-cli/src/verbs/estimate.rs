//! How long work still takes, steadily: by all that it took so far, counted down between its steps.

use std::time::Duration;

/// An estimate of the time that is left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Estimate {
    /// When all will be done, since the beginning.
    end: Option<Duration>,
}

/// What a new estimate counts against the one before.
const NEW: f64 = 0.2;

impl Estimate {
    /// `done` of `all` steps are done, `passed` since the beginning.
    pub fn update(&mut self, passed: Duration, done: u64, all: u64) {
        if done == 0 {
            return;
        }
        let end = passed.mul_f64(all.max(done) as f64 / done as f64);
        // A few slow steps move it a little, and time that passed is past.
        let smooth = |before: Duration| before.mul_f64(1.0 - NEW) + end.mul_f64(NEW);
        self.end = Some(self.end.map_or(end, smooth).max(passed));
    }

    /// What is left so long after the beginning; `None` while nothing is known.
    pub fn left(&self, passed: Duration) -> Option<Duration> {
        Some(self.end?.saturating_sub(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn even_steps_are_known_from_the_first_and_counted_down() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.left(seconds(5)), None);
        for done in 1..=10 {
            estimate.update(seconds(10 * done), done, 10);
            assert_eq!(estimate.left(seconds(10 * done)), Some(seconds(100 - 10 * done)));
        }
        estimate.update(seconds(110), 11, 10);
        assert_eq!(estimate.left(seconds(200)), Some(seconds(0)));
    }

    #[test]
    fn between_steps_and_over_a_slow_one_it_does_not_jump() {
        let mut estimate = Estimate::default();
        (1..=5).for_each(|done| estimate.update(seconds(10 * done), done, 20));
        assert_eq!(estimate.left(seconds(54)), Some(seconds(146)));
        // One step took five times as long: by its own, all would take 100 s more.
        estimate.update(seconds(100), 6, 20);
        let left = estimate.left(seconds(100)).unwrap().as_secs_f64();
        assert!((100.0..=150.0).contains(&left), "{left}");
    }
}
