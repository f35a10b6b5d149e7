//! A vocabulary that was cut.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The sizes of a vocabulary that was cut from another. A loss over it is another quantity than one over the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PrunedVocabulary {
    /// Tokens of the whole.
    pub from: u32,
    /// Tokens that are left.
    pub to: u32,
}

impl fmt::Display for PrunedVocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = *self;
        write!(f, "pruned from {} to {} tokens", Grouped(from), Grouped(to))
    }
}

/// A number whose digits are in groups of three.
struct Grouped(u32);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1_000_000, self.0 / 1000 % 1000, self.0 % 1000) {
            (0, 0, ones) => write!(f, "{ones}"),
            (0, thousands, ones) => write!(f, "{thousands},{ones:03}"),
            (millions, thousands, ones) => write!(f, "{millions},{thousands:03},{ones:03}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn both_sizes_are_named() {
        let said = |from, to| PrunedVocabulary { from, to }.to_string();
        assert_eq!(said(50_257, 4096), "pruned from 50,257 to 4,096 tokens");
        assert_eq!(said(16_777_216, 257), "pruned from 16,777,216 to 257 tokens");
        assert_eq!(said(1_000_000, 1000), "pruned from 1,000,000 to 1,000 tokens");
    }
}
