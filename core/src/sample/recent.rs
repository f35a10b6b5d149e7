//! The tokens that came last, and the penalty on their coming again.

use crate::config::TokenId;
use heapless::Deque;

/// Tokens that a repetition penalty looks back on.
pub const RECENT: usize = 64;

/// The last [`RECENT`] tokens.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    tokens: Deque<Seen, RECENT>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    token: TokenId,
    /// In the pass under way, without the penalty.
    logit: f32,
}

impl Recent {
    /// No token yet.
    pub const fn new() -> Self {
        Self { tokens: Deque::new() }
    }

    /// Takes the next token; the oldest makes room.
    pub fn push(&mut self, token: TokenId) {
        if self.tokens.is_full() {
            self.tokens.pop_front();
        }
        // There is room.
        let _ = self.tokens.push_back(Seen { token, logit: f32::NAN });
    }

    /// Makes recent tokens less likely, once each however often they came: a positive logit is divided by `penalty`, a
    /// negative one multiplied. `logits` become those of tokens `first`, `first + 1`, …
    ///
    /// After Keskar and others, *CTRL: A Conditional Transformer Language Model for Controllable Generation*, 2019.
    pub(super) fn penalise(&mut self, penalty: f32, first: TokenId, logits: &[f32], out: &mut [f32]) {
        for (out, &logit) in out.iter_mut().zip(logits) {
            *out = logit;
        }
        for seen in self.tokens.iter_mut() {
            let Some(index) = seen.token.checked_sub(first).map(|index| index as usize) else { continue };
            if let (Some(&logit), Some(out)) = (logits.get(index), out.get_mut(index)) {
                seen.logit = logit;
                *out = if logit > 0.0 { logit / penalty } else { logit * penalty };
            }
        }
    }

    /// The logit of `token` before the penalty in the last pass, `None` for a token that had none.
    pub(super) fn logit(&self, token: TokenId) -> Option<f32> {
        self.tokens.iter().find(|seen| seen.token == token).map(|seen| seen.logit)
    }
}
