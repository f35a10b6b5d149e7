//! Names with a block's number in them, found in a time that does not depend on how many are looked for.

use std::collections::HashMap;

/// What stands for a block's number.
pub const LAYER: &str = "{layer}";

/// Names and, of those with [`LAYER`] in them, what stands before and after it. Each has a number of its own.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    whole: HashMap<String, usize>,
    around: HashMap<String, HashMap<String, usize>>,
    longest: usize,
}

impl Patterns {
    /// Those of `patterns`, numbered in their order; of two that are one, the first counts.
    pub fn new(patterns: impl Iterator<Item = String>) -> Self {
        let mut new = Self::default();
        for (number, pattern) in patterns.enumerate() {
            // A block's number has ten digits at most.
            new.longest = new.longest.max(pattern.len() + 10);
            match pattern.split_once(LAYER) {
                Some((before, after)) => {
                    let after_it = new.around.entry(before.to_owned()).or_default();
                    after_it.entry(after.to_owned()).or_insert(number);
                }
                None => {
                    new.whole.entry(pattern).or_insert(number);
                }
            }
        }
        new
    }

    /// The number of the pattern that `name` is spelled by, and the block's.
    pub fn find(&self, name: &str) -> Option<(usize, Option<u32>)> {
        if name.len() > self.longest {
            return None;
        }
        if let Some(&number) = self.whole.get(name) {
            return Some((number, None));
        }
        let in_block = |(start, end): (usize, usize)| {
            let layer = block_number(&name[start..end])?;
            let number = self.around.get(&name[..start])?.get(&name[end..])?;
            Some((*number, Some(layer)))
        };
        digit_runs(name).filter_map(in_block).min()
    }
}

/// A number as names spell it: without leading zeros.
fn block_number(digits: &str) -> Option<u32> {
    if digits == "0" || !digits.starts_with('0') { digits.parse().ok() } else { None }
}

/// Where digits stand in a name.
fn digit_runs(name: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = name.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let starts = (0..bytes.len()).filter(move |&at| is_digit(at) && (at == 0 || !is_digit(at - 1)));
    starts.map(move |start| (start, (start..).find(|&at| !is_digit(at)).unwrap_or(bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_with_their_block() {
        let patterns = ["h.{layer}.w", "h.0.w", "wte", "layer{layer}_b", "h.{layer}.w", "{layer}"];
        let patterns = Patterns::new(patterns.into_iter().map(String::from));
        for (name, found) in [
            ("h.12.w", Some((0, Some(12)))),
            ("h.0.w", Some((1, None))),
            ("wte", Some((2, None))),
            ("layer7_b", Some((3, Some(7)))),
            ("4294967295", Some((5, Some(u32::MAX)))),
            ("h.01.w", None),
            ("h.4294967296.w", None),
            ("h..w", None),
            ("h.x.w", None),
            ("h.1.w2", None),
            ("", None),
        ] {
            assert_eq!(patterns.find(name), found, "{name}");
        }
        assert_eq!(patterns.find(&"1.".repeat(1 << 20)), None);
    }
}
