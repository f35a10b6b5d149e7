//! Window plans: which windows of a text are fed to the model, and which of their positions are scored.

/// How a text longer than the context is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Convention {
    /// Windows of `n_ctx` inputs side by side; every target but the text's first token is scored once.
    Disjoint,
    /// Windows of `n_ctx` tokens that move by `stride`, each scoring the targets that none before it did: Hugging
    /// Face's guide to perplexity.
    Sliding {
        /// Tokens from one window's start to the next's, at least 1.
        stride: usize,
    },
    /// `floor(n_tokens / n_ctx)` chunks, each scoring the targets of inputs `n_ctx / 2` to `n_ctx - 2`; the tail is
    /// dropped. llama.cpp's convention, without a BOS token.
    LlamaCpp,
}

impl Convention {
    /// The name that the command line and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disjoint => "disjoint",
            Self::Sliding { .. } => "sliding",
            Self::LlamaCpp => "llamacpp",
        }
    }

    /// Tokens from one window's start to the next's.
    pub const fn stride(self, n_ctx: usize) -> usize {
        match self {
            Self::Disjoint | Self::LlamaCpp => n_ctx,
            Self::Sliding { stride } => stride,
        }
    }

    /// The windows over a text of `n_tokens`, in order. A stride of 0 is taken as 1.
    pub const fn windows(self, n_tokens: usize, n_ctx: usize) -> Windows {
        Windows { convention: self, n_tokens, n_ctx, start: 0, end: 0 }
    }
}

/// Feed tokens `start .. start + n_inputs`; score inputs `first_scored .. n_inputs` of them. Input `i`'s target is
/// token `start + i + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// The first token fed.
    pub start: usize,
    /// Tokens fed, 1 to `n_ctx`.
    pub n_inputs: usize,
    /// The first input whose target is scored, below `n_inputs`.
    pub first_scored: usize,
}

impl Window {
    /// Targets scored.
    pub const fn n_scored(&self) -> usize {
        self.n_inputs - self.first_scored
    }
}

/// The windows of one text.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    convention: Convention,
    n_tokens: usize,
    n_ctx: usize,
    start: usize,
    /// One past the last token that was fed or a target.
    end: usize,
}

impl Windows {
    /// Targets that all windows from here on score.
    pub fn n_scored(self) -> usize {
        self.map(|window| window.n_scored()).sum()
    }

    fn disjoint(&mut self) -> Option<Window> {
        let targets = self.n_tokens.checked_sub(self.start + 1)?;
        let n_inputs = targets.min(self.n_ctx);
        let window = Window { start: self.start, n_inputs, first_scored: 0 };
        self.start += n_inputs;
        (n_inputs > 0).then_some(window)
    }

    fn sliding(&mut self, stride: usize) -> Option<Window> {
        while self.end < self.n_tokens {
            let (start, scored) = (self.start, self.end);
            self.start = start.saturating_add(stride.max(1));
            self.end = self.n_tokens.min(start.saturating_add(self.n_ctx));
            let first_target = scored.max(start + 1);
            if first_target < self.end {
                return Some(Window { start, n_inputs: self.end - start - 1, first_scored: first_target - start - 1 });
            }
        }
        None
    }

    fn llamacpp(&mut self) -> Option<Window> {
        let start = self.start;
        self.start = start.checked_add(self.n_ctx)?;
        let (n_inputs, first_scored) = (self.n_ctx.checked_sub(1)?, self.n_ctx / 2);
        (self.start <= self.n_tokens && first_scored < n_inputs).then_some(Window { start, n_inputs, first_scored })
    }
}

impl Iterator for Windows {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        match self.convention {
            Convention::Disjoint => self.disjoint(),
            Convention::Sliding { stride } => self.sliding(stride),
            Convention::LlamaCpp => self.llamacpp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn plan(convention: Convention, n_tokens: usize, n_ctx: usize) -> Vec<(usize, usize, usize)> {
        convention.windows(n_tokens, n_ctx).map(|w| (w.start, w.n_inputs, w.first_scored)).collect()
    }

    #[test]
    fn conventions() {
        assert_eq!(plan(Convention::Disjoint, 10, 4), [(0, 4, 0), (4, 4, 0), (8, 1, 0)]);
        assert_eq!(plan(Convention::Disjoint, 9, 4), [(0, 4, 0), (4, 4, 0)]);
        assert_eq!(plan(Convention::Sliding { stride: 2 }, 9, 4), [(0, 3, 0), (2, 3, 1), (4, 3, 1), (6, 2, 1)]);
        assert_eq!(plan(Convention::Sliding { stride: 4 }, 8, 4), [(0, 3, 0), (4, 3, 0)]);
        assert_eq!(plan(Convention::LlamaCpp, 17, 8), [(0, 7, 4), (8, 7, 4)]);
    }

    #[test]
    fn too_short_to_score() {
        for convention in [Convention::Disjoint, Convention::Sliding { stride: 1 }, Convention::LlamaCpp] {
            for n_tokens in 0..2 {
                assert_eq!(plan(convention, n_tokens, 4), []);
            }
        }
        assert_eq!(plan(Convention::LlamaCpp, 100, 2), []);
        assert_eq!(plan(Convention::Disjoint, 3, 1), [(0, 1, 0), (1, 1, 0)]);
    }
}
