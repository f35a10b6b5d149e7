//! An error in the place of a number.

use serde::Serialize;

/// An error as machines read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// A stable name for the kind of error.
    pub kind: String,
    /// One line for people.
    pub message: String,
}

impl Fault {
    /// An error of that kind.
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into() }
    }
}
