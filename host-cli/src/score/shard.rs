//! Parts of a run's windows, for several processes or machines to score.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::ground::shown;

/// One of so many parts of all windows. Parts are of windows side by side, in scored order, as even as they can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl Shard {
    /// All windows.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// Part `index` of `of`, counted from 1, if there is one.
    pub fn new(index: u32, of: u32) -> Option<Self> {
        (1..=of).contains(&index).then_some(Self { index, of })
    }

    /// Which part it is, from 1.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How many parts there are.
    pub const fn of(self) -> u32 {
        self.of
    }

    /// Which of `n_windows` windows are its own: none where there are more parts than windows and others have them all.
    pub fn windows(self, n_windows: usize) -> Range<usize> {
        let before = |parts: u32| (n_windows as u128 * u128::from(parts) / u128::from(self.of)) as usize;
        before(self.index - 1)..before(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        let Some((index, of)) = numbers else {
            return Err(format!("`{}` is no shard: write 2/8 for the second of eight", shown::value(text)));
        };
        Self::new(index, of).ok_or_else(|| match of {
            0 => "there are no shards of 0".into(),
            of => format!("shards of {of} are 1/{of} to {of}/{of}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_side_by_side_and_even() {
        for n_windows in [0, 1, 3, 10, 37, usize::MAX] {
            for of in [1, 2, 3, 8, 50] {
                let parts: Vec<_> = (1..=of).map(|i| Shard::new(i, of).unwrap().windows(n_windows)).collect();
                assert_eq!((parts[0].start, parts[of as usize - 1].end), (0, n_windows));
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
                let even = n_windows / of as usize;
                assert!(parts.iter().all(|part| (0..=1).contains(&(part.len() - even))), "{n_windows} {of}");
            }
        }
    }

    #[test]
    fn words_are_read_or_refused() {
        assert_eq!("2/8".parse(), Ok(Shard { index: 2, of: 8 }));
        assert_eq!("8/8".parse::<Shard>().unwrap().to_string(), "8/8");
        for (word, message) in [
            ("0/8", "shards of 8 are 1/8 to 8/8"),
            ("9/8", "shards of 8 are 1/8 to 8/8"),
            ("1/0", "there are no shards of 0"),
            ("2", "`2` is no shard: write 2/8 for the second of eight"),
            ("1/2/3", "`1/2/3` is no shard: write 2/8 for the second of eight"),
            ("-1/8", "`-1/8` is no shard: write 2/8 for the second of eight"),
        ] {
            assert_eq!(word.parse::<Shard>(), Err(message.into()));
        }
    }
}
