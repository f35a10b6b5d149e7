//! How texts are cut into windows, where a verb lets people say it: checked against the model's context.

use clap::{Args, ValueEnum};
use emberlm_core::window::Convention;

use crate::score::Windowing;
use crate::verbs::error::Error;

/// The words that say how texts are cut.
#[derive(Args, Clone, Debug, Default)]
pub struct RawWindowing {
    /// How a text longer than the context is cut into windows [default: disjoint]
    #[arg(long, value_enum)]
    convention: Option<Name>,
    /// Tokens from one window to the next under `sliding` [default: half of n_ctx]
    #[arg(long, value_name = "TOKENS", requires = "convention")]
    stride: Option<usize>,
    /// Context to score with [default: all that the model has]
    #[arg(long, value_name = "TOKENS")]
    n_ctx: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Windows side by side; only a text's first token is not scored
    Disjoint,
    /// Windows that move by the stride, each scoring what none before it did
    Sliding,
    /// Chunks of n_ctx of which the second half is scored; the tail is dropped
    #[value(name = "llamacpp")]
    LlamaCpp,
}

impl RawWindowing {
    /// Whether a convention was named.
    pub const fn is_named(&self) -> bool {
        self.convention.is_some()
    }

    /// Checks the options against a model whose context is `model_n_ctx`.
    ///
    /// # Errors
    /// A context that the model does not have, a stride that makes no sense.
    pub fn resolve(&self, model_n_ctx: u32) -> Result<Windowing, Error> {
        let n_ctx = n_ctx_of(self.n_ctx, model_n_ctx)?;
        let convention = match (self.convention.unwrap_or(Name::Disjoint), self.stride) {
            (Name::Sliding, stride) => {
                let stride = stride.unwrap_or((n_ctx / 2).max(1));
                if stride == 0 || stride > n_ctx {
                    return Err(Error::Usage(format!("--stride {stride} is not within 1 to n_ctx, {n_ctx}")));
                }
                Convention::Sliding { stride }
            }
            (_, Some(_)) => return Err(Error::Usage("--stride is for --convention sliding".into())),
            (Name::Disjoint, None) => Convention::Disjoint,
            (Name::LlamaCpp, None) => Convention::LlamaCpp,
        };
        Ok(Windowing::new(convention, n_ctx))
    }
}

/// The context that `--n-ctx` asks for, or all that the model has.
///
/// # Errors
/// The model does not have it.
pub fn n_ctx_of(asked: Option<usize>, model_n_ctx: u32) -> Result<usize, Error> {
    let most = model_n_ctx as usize;
    match asked {
        Some(n_ctx) if n_ctx == 0 || n_ctx > most => {
            Err(Error::Usage(format!("--n-ctx {n_ctx} is not within the model's 1 to {most}")))
        }
        asked => Ok(asked.unwrap_or(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(convention: Option<Name>, stride: Option<usize>, n_ctx: Option<usize>) -> RawWindowing {
        RawWindowing { convention, stride, n_ctx }
    }

    #[test]
    fn defaults() {
        let windowing = raw(None, None, None).resolve(128).unwrap();
        assert_eq!(windowing, Windowing::new(Convention::Disjoint, 128));
        let sliding = raw(Some(Name::Sliding), None, Some(6)).resolve(128).unwrap();
        assert_eq!(sliding, Windowing::new(Convention::Sliding { stride: 3 }, 6));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (raw, message) in [
            (raw(None, None, Some(129)), "--n-ctx 129 is not within the model's 1 to 128"),
            (raw(None, None, Some(0)), "--n-ctx 0 is not within the model's 1 to 128"),
            (raw(Some(Name::Sliding), Some(9), Some(8)), "--stride 9 is not within 1 to n_ctx, 8"),
            (raw(Some(Name::Sliding), Some(0), None), "--stride 0 is not within 1 to n_ctx, 128"),
            (raw(Some(Name::LlamaCpp), Some(8), None), "--stride is for --convention sliding"),
        ] {
            assert_eq!(raw.resolve(128).unwrap_err().to_string(), message);
        }
    }
}
