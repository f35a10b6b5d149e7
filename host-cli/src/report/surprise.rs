//! How surprising a token is: the levels that terminals and pages colour.

/// Bits at which the next level begins, of five.
const BOUNDS: [f64; 4] = [1.0, 3.0, 6.0, 10.0];

/// How many levels there are.
pub const LEVELS: usize = BOUNDS.len() + 1;

/// The level of so many bits, from 0; the highest of what is no number.
pub fn level(bits: f64) -> usize {
    BOUNDS.iter().position(|&bound| bits < bound).unwrap_or(BOUNDS.len())
}

/// The bits of a level, as `1-3` or `over 10`.
pub fn range(level: usize) -> String {
    let from = level.checked_sub(1).map_or(0.0, |below| BOUNDS[below]);
    BOUNDS.get(level).map_or_else(|| format!("over {from}"), |to| format!("{from}-{to}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_their_ranges() {
        assert_eq!([0.0, 0.99, 1.0, 5.9, 10.0, 99.0, f64::NAN].map(level), [0, 0, 1, 2, 4, 4, 4]);
        assert_eq!((0..LEVELS).map(range).collect::<Vec<_>>(), ["0-1", "1-3", "3-6", "6-10", "over 10"]);
    }
}
