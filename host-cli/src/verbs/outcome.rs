//! How verbs end.

/// How a verb that came to its end ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Passed,
    /// A check failed.
    Failed,
}

impl Outcome {
    /// Passed if `passed`.
    pub const fn from_check(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }
}
