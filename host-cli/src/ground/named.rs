//! Choices by their names.

use crate::ground::shown;

/// The one of `all` that `name` stands for.
///
/// # Errors
/// There is none: a line that lists the names.
pub fn find<T: Copy>(all: &[T], name_of: fn(T) -> &'static str, name: &str) -> Result<T, String> {
    let names = || all.iter().map(|&one| name_of(one)).collect::<Vec<_>>().join(", ");
    let found = all.iter().copied().find(|&one| name_of(one) == name);
    found.ok_or_else(|| format!("\"{}\" is none of {}", shown::value(name), names()))
}
