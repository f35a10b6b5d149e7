//! Reports as people read them.

use serde::Serialize;

/// Something found out, for machines as it serialises.
pub trait Report: Serialize {
    /// The report for people, lines with line ends.
    fn text(&self) -> String;

    /// The report in colours, where it has them. What is from outside is escaped in it already.
    fn coloured(&self) -> Option<String> {
        None
    }
}
