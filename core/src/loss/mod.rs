//! From logits to losses: one position's negative log-likelihood, and a text's mean.

mod cross_entropy;
mod log_sum_exp;
mod score;

pub use cross_entropy::CrossEntropy;
pub use log_sum_exp::LogSumExp;
pub use score::Score;
