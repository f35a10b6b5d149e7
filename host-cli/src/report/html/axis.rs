//! Axes: values to places, and the values that are written beside them.

/// Values from one end of a chart to the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it counts.
    pub title: &'static str,
    scale: Scale,
    from: f64,
    to: f64,
    step: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    /// Of powers of 10: `from`, `to` and `step` are exponents.
    Log,
}

/// About how many values are written beside an axis.
const TICKS: f64 = 5.0;

impl Axis {
    /// Whole steps around all of `values` that are finite.
    pub fn linear(title: &'static str, values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = ends(values).unwrap_or((0.0, 1.0));
        let (least, most) = if least < most { (least, most) } else { (least - 0.5, most + 0.5) };
        let step = round_step((most - least) / TICKS);
        let (from, to) = ((least / step).floor() * step, (most / step).ceil() * step);
        Self { title, scale: Scale::Linear, from, to, step }
    }

    /// From `from` to `to`, as they are.
    pub fn between(title: &'static str, from: f64, to: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Self { title, scale: Scale::Linear, from, to, step: round_step((to - from) / TICKS) }
    }

    /// Whole powers of 10 around all of `values` that are finite and above 0.
    pub fn log(title: &'static str, values: impl Iterator<Item = f64>) -> Self {
        let exponents = values.filter(|&value| value > 0.0).map(f64::log10);
        let (least, most) = ends(exponents).unwrap_or((0.0, 1.0));
        let (from, to) = (least.floor(), most.ceil().max(least.floor() + 1.0));
        Self { title, scale: Scale::Log, from, to, step: ((to - from) / TICKS).ceil() }
    }

    /// Where a value lies, 0 at one end and 1 at the other; `None` of one that is not finite or beyond the ends.
    pub fn place(&self, value: f64) -> Option<f64> {
        let value = if self.scale == Scale::Log { value.log10() } else { value };
        // What was rounded may lie a little outside.
        let place = (value - self.from) / (self.to - self.from);
        (-1e-9..=1.0 + 1e-9).contains(&place).then(|| place.clamp(0.0, 1.0))
    }

    /// The values that are written beside it, and how.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let first = (self.from / self.step - 1e-9).ceil();
        let n = ((self.to / self.step + 1e-9).floor() - first) as usize;
        let tick = |index: usize| {
            let at = (first + index as f64) * self.step;
            match self.scale {
                Scale::Log => (10f64.powf(at), format!("1e{at:.0}")),
                Scale::Linear => {
                    let decimals = (-self.step.log10().floor()).max(0.0) as usize;
                    // No sign before a zero.
                    (at, format!("{:.decimals$}", if at.abs() < self.step / 2.0 { 0.0 } else { at }))
                }
            }
        };
        (0..=n).map(tick).collect()
    }
}

/// The least and the largest of those that are finite.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |ends, value| {
        let (least, most) = ends.unwrap_or((value, value));
        Some((value.min(least), value.max(most)))
    })
}

/// The least of 1, 2 and 5 times a power of 10 that is no less.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|&round| round >= step * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, word)| word).collect()
    }

    #[test]
    fn steps_are_round_and_around_all_values() {
        let axis = Axis::linear("x", [1.43, 3.9, f64::NAN, f64::INFINITY].into_iter());
        assert_eq!(words(&axis), ["1.0", "1.5", "2.0", "2.5", "3.0", "3.5", "4.0"]);
        assert_eq!((axis.place(1.0), axis.place(2.5), axis.place(4.0)), (Some(0.0), Some(0.5), Some(1.0)));
        assert_eq!((axis.place(f64::NAN), axis.place(f64::INFINITY), axis.place(5.0)), (None, None, None));
        assert_eq!(words(&Axis::linear("x", [3.0].into_iter())), ["2.4", "2.6", "2.8", "3.0", "3.2", "3.4", "3.6"]);
        assert!(!words(&Axis::linear("x", [-1.0, 1.0].into_iter())).contains(&"-0.0".into()));
    }

    #[test]
    fn powers_of_10_are_around_all_that_have_one() {
        let axis = Axis::log("y", [2.2e-5, 4e-3, 0.0, -1.0, f64::NAN].into_iter());
        assert_eq!(words(&axis), ["1e-5", "1e-4", "1e-3", "1e-2"]);
        assert_eq!(axis.place(1e-5), Some(0.0));
        assert_eq!((axis.place(0.0), axis.place(-1.0), axis.place(1.0)), (None, None, None));
        assert_eq!(words(&Axis::log("y", [1e-3].into_iter())), ["1e-3", "1e-2"]);
        assert_eq!(words(&Axis::log("y", [1e-12, 1.0].into_iter())), ["1e-12", "1e-9", "1e-6", "1e-3", "1e0"]);
        assert_eq!(words(&Axis::log("y", std::iter::empty())), ["1e0", "1e1"]);
    }
}
