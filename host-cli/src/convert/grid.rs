//! The grid that one row's integers stand on: a step for each group, a multiple of one row scale.

use emberlm_core::format::Packing;
use half::bf16;

use crate::reference::lanes::{in_lanes, sum_pairs};

/// The largest magnitude of a q8 integer: -128 is not used, so that the range is as wide on both sides.
const MAX_Q8: f64 = 127.0;
/// The largest scale of a group, of an unsigned byte and of a signed one.
const MAX_UNSIGNED: f64 = 255.0;
const MAX_SIGNED: f64 = 127.0;
/// The least share of a group's range that the search for its scale clips to.
const LEAST_CLIP: f64 = 0.6;

/// The steps of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    packing: Packing,
    /// The row's scale.
    unit: bf16,
    /// One scale a group, see [`Packing::scale`].
    scales: Vec<i32>,
}

impl Grid {
    /// The steps for `row`.
    ///
    /// For q8 the least that let every weight fit. Below that, those with the least sum of squared errors, times
    /// `importance` of their columns where that is given, among steps of either sign that clip a little.
    pub fn fit(packing: Packing, row: &[f64], importance: Option<&[f64]>) -> Self {
        let (ranges, most): (Vec<Range>, f64) = if packing.bits == 8 {
            (row.chunks(packing.group).map(Range::symmetric).collect(), MAX_UNSIGNED)
        } else {
            let range = |group| Range::of(group, packing.range());
            (row.chunks(packing.group).map(range).collect(), MAX_SIGNED)
        };
        let unit = bf16_at_least(ranges.iter().map(|range| range.least()).fold(0.0, f64::max) / most);
        let mut grid = Self { packing, unit, scales: vec![0; ranges.len()] };
        if unit == bf16::ZERO {
            return grid;
        }
        let even = vec![1.0; packing.group];
        for (index, (range, group)) in ranges.iter().zip(row.chunks(packing.group)).enumerate() {
            let importance = importance.map_or(&even[..], |all| &all[index * packing.group..]);
            grid.scales[index] = search(&grid, range, group, &importance[..group.len()]);
        }
        grid
    }

    /// The row's scale.
    pub const fn unit(&self) -> bf16 {
        self.unit
    }

    /// The groups' scales.
    pub fn scales(&self) -> &[i32] {
        &self.scales
    }

    /// The step of a group.
    pub fn step(&self, group: usize) -> f64 {
        f64::from(self.unit) * f64::from(self.scales[group])
    }

    /// The integer nearest to `weight` in units of `step`; ties go to even.
    #[inline(always)]
    pub fn nearest(&self, weight: f64, step: f64) -> i8 {
        let (least, most) = self.integers();
        if step == 0.0 { 0 } else { round((weight / step).clamp(least, most)) as i8 }
    }

    /// Changes a group's scale to the nearest to `step` that has its sign, and returns the step that it makes.
    pub fn refit(&mut self, group: usize, step: f64) -> f64 {
        let old = self.scales[group];
        let most = if self.packing.bits == 8 { MAX_UNSIGNED } else { MAX_SIGNED };
        let magnitude = (step / f64::from(self.unit) * f64::from(old.signum())).round_ties_even().clamp(1.0, most);
        self.scales[group] = old.signum() * magnitude as i32;
        self.step(group)
    }

    fn integers(&self) -> (f64, f64) {
        match self.packing.range() {
            (_, most) if self.packing.bits == 8 => (-f64::from(most), f64::from(most)),
            (least, most) => (f64::from(least), f64::from(most)),
        }
    }
}

in_lanes! {
    /// A group's scale.
    fn search(grid: &Grid, range: &Range, group: &[f64], importance: &[f64]) -> i32 {
        let unit = f64::from(grid.unit);
        if range.least() == 0.0 {
            return 0;
        }
        // What fits everything comes first: nothing that loses more is taken.
        let whole = |sign: f64| (range.base(sign) / unit).ceil();
        let safe = if range.base(1.0) <= range.base(-1.0) { 1.0 } else { -1.0 };
        let most = if grid.packing.bits == 8 { MAX_UNSIGNED } else { MAX_SIGNED };
        let mut best = safe * whole(safe).min(most);
        if grid.packing.bits == 8 {
            return best as i32;
        }
        let (least, greatest) = grid.integers();
        let mut least_loss = loss(group, importance, best * unit, least, greatest);
        for sign in [safe, -safe] {
            let top = whole(sign).min(most);
            let bottom = (LEAST_CLIP * range.base(sign) / unit).floor().clamp(1.0, top);
            for scale in bottom as i32..=top as i32 {
                let scale = sign * f64::from(scale);
                let loss = loss(group, importance, scale * unit, least, greatest);
                if loss < least_loss {
                    (least_loss, best) = (loss, scale);
                }
            }
        }
        best as i32
    }
}

/// The sum of squared errors of a group rounded to multiples `least..=greatest` of `step`, each times its importance.
#[inline(always)]
fn loss(group: &[f64], importance: &[f64], step: f64, least: f64, greatest: f64) -> f64 {
    let per_step = 1.0 / step;
    let square = |weight: f64| {
        let error = weight - round((weight * per_step).max(least).min(greatest)) * step;
        error * error
    };
    sum_pairs(group, importance, |weight, by| square(weight) * by)
}

/// The nearest integer to a number far below 2^51, ties to even, as vector units can.
#[inline(always)]
fn round(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    (x + ROUND) - ROUND
}

/// The least steps that fit a group: of positive integers' sign, and of the opposite one.
struct Range([f64; 2]);

impl Range {
    fn of(group: &[f64], (least, most): (i32, i32)) -> Self {
        let high = group.iter().copied().fold(0.0, f64::max);
        let low = -group.iter().copied().fold(0.0, f64::min);
        let (least, most) = (-f64::from(least), f64::from(most));
        Self([(high / most).max(low / least), (low / most).max(high / least)])
    }

    fn symmetric(group: &[f64]) -> Self {
        let peak = group.iter().fold(0.0, |peak: f64, weight| peak.max(weight.abs()));
        Self([peak / MAX_Q8; 2])
    }

    const fn base(&self, sign: f64) -> f64 {
        if sign > 0.0 { self.0[0] } else { self.0[1] }
    }

    const fn least(&self) -> f64 {
        self.0[0].min(self.0[1])
    }
}

/// The least bf16 that is not below `x`, a number from 0 to half the largest.
fn bf16_at_least(x: f64) -> bf16 {
    let near = bf16::from_f64(x);
    if f64::from(near) < x { bf16::from_bits(near.to_bits() + 1) } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberlm_core::format::Format;
    use proptest::prelude::*;

    const FORMATS: [Format; 5] = [Format::Q8, Format::Q6, Format::Q5, Format::Q4, Format::Q3];

    fn row() -> impl Strategy<Value = Vec<f64>> {
        let weight = prop_oneof![-1.0..1.0, Just(0.0), Just(0.25), -1e-3..1e-3, Just(-40.0)];
        let size = prop_oneof![Just(1.0), Just(1e-40), Just(1e-30), Just(1e36)];
        (prop::collection::vec(weight, 1..200), size)
            .prop_map(|(row, size)| row.into_iter().map(|weight: f64| f64::from((weight * size) as f32)).collect())
    }

    proptest! {
        /// Where nothing is clipped every weight is within half a step, and a group's least such step is what fits its
        /// range, rounded up to a multiple of the row's scale. No group's squared error exceeds what that step allows.
        #[test]
        fn no_group_loses_more_than_half_its_least_unclipped_steps(row in row()) {
            for packing in FORMATS.map(|format| format.packing().unwrap()) {
                let grid = Grid::fit(packing, &row, None);
                let unit = f64::from(grid.unit());
                for (index, group) in row.chunks(packing.group).enumerate() {
                    let range = if packing.bits == 8 { Range::symmetric(group) } else { Range::of(group, packing.range()) };
                    let half = 0.5 * (range.least() + unit);
                    let step = grid.step(index);
                    let error = |weight: &f64| weight - step * f64::from(grid.nearest(*weight, step));
                    let squares: f64 = group.iter().map(|weight| error(weight).powi(2)).sum();
                    prop_assert!(squares <= 1.000_001 * group.len() as f64 * half * half, "{packing:?} {squares} {half}");
                    let (least, most) = grid.integers();
                    for weight in group.iter().filter(|weight| step != 0.0 && (least..=most).contains(&(**weight / step))) {
                        prop_assert!(error(weight).abs() <= 0.5 * step.abs());
                    }
                }
            }
        }
    }

    #[test]
    fn scales_fit_their_bytes() {
        for packing in FORMATS.map(|format| format.packing().unwrap()) {
            let row: Vec<f64> = (0..150).map(|i| if i == 70 { 1e4 } else { f64::from(i * 37 % 101) - 50.0 }).collect();
            let grid = Grid::fit(packing, &row, None);
            assert!(grid.scales().iter().all(|&s| if packing.bits == 8 {
                (0..256).contains(&s)
            } else {
                s.abs() < 128
            }));
            let step = grid.step(70 / packing.group);
            assert!((step * f64::from(grid.nearest(1e4, step)) - 1e4).abs() < 0.51 * step.abs());
        }
    }

    #[test]
    fn importance_decides_what_is_kept() {
        let packing = Format::Q3.packing().unwrap();
        let row: Vec<f64> = (0..32).map(|i| if i == 0 { 2.0 } else { (f64::from(i) * 0.7).sin() }).collect();
        let loss = |grid: &Grid, importance: &[f64]| {
            let error = |weight: &f64| weight - grid.step(0) * f64::from(grid.nearest(*weight, grid.step(0)));
            row.iter().zip(importance).map(|(weight, by)| error(weight).powi(2) * by).sum::<f64>()
        };
        let importance: Vec<f64> = (0..32).map(|i| if i == 0 { 0.0 } else { 1.0 }).collect();
        let (even, weighted) = (Grid::fit(packing, &row, None), Grid::fit(packing, &row, Some(&importance)));
        assert!(loss(&weighted, &importance) < 0.9 * loss(&even, &importance));
        assert!(loss(&even, &[1.0; 32]) < loss(&weighted, &[1.0; 32]));
    }

    #[test]
    fn nothing_but_zeros_needs_no_scale() {
        let grid = Grid::fit(Format::Q4.packing().unwrap(), &[0.0; 70], None);
        assert_eq!((grid.unit(), grid.scales()), (bf16::ZERO, [0; 3].as_slice()));
        assert_eq!(grid.nearest(0.0, grid.step(1)), 0);
    }
}
