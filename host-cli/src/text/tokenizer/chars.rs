//! One token a character.

use std::collections::HashMap;

use super::TokenizerError;
use emberlm_core::config::TokenId;

/// A vocabulary of characters: the position in the list is the id.
pub struct Chars {
    list: Vec<char>,
    ids: HashMap<char, TokenId>,
}

impl Chars {
    /// Checks `list`, the character of each id.
    ///
    /// # Errors
    /// The list is empty or holds a character twice.
    pub fn new(list: Vec<char>) -> Result<Self, String> {
        let mut ids = HashMap::with_capacity(list.len());
        for (id, &c) in (0..).zip(&list) {
            if let Some(first) = ids.insert(c, id) {
                return Err(format!("{c:?} is there twice, as {first} and {id}"));
            }
        }
        if list.is_empty() { Err("the list of characters is empty".into()) } else { Ok(Self { list, ids }) }
    }

    /// The character of each id.
    pub fn list(&self) -> &[char] {
        &self.list
    }

    /// The ids of `text`.
    ///
    /// # Errors
    /// A character is not in the list.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>, TokenizerError> {
        text.char_indices()
            .map(|(at, c)| self.ids.get(&c).copied().ok_or_else(|| TokenizerError::unrepresentable(text, at)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Position;
    use super::*;

    #[test]
    fn positions_are_ids() {
        let chars = Chars::new(vec!['\n', 'é', 'b']).unwrap();
        assert_eq!(chars.encode("bé\n").unwrap(), [2, 1, 0]);
    }

    #[test]
    fn an_unknown_character_is_named_with_its_place() {
        let chars = Chars::new(vec!['\n', 'é', 'b']).unwrap();
        let position = Position { line: 2, column: 2, offset: 5 };
        assert_eq!(chars.encode("éb\nbx"), Err(TokenizerError::Unrepresentable { c: 'x', position, text: None }));
    }

    #[test]
    fn twice_the_same_character_is_refused() {
        assert!(Chars::new(vec!['a', 'b', 'a']).is_err_and(|why| why == "'a' is there twice, as 0 and 2"));
        assert!(Chars::new(vec![]).is_err());
    }
}
