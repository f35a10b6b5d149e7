//! A part of a text, with the space that is put before it: read without a copy.

/// A part of a text. Its length counts the space before it, where there is one, as a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'t> {
    text: &'t str,
    start: usize,
    has_prefix: bool,
}

impl<'t> Piece<'t> {
    /// `text`, which starts at byte `start` of the whole.
    pub const fn new(text: &'t str, start: usize) -> Self {
        Self { text, start, has_prefix: false }
    }

    /// The same behind a space.
    #[must_use]
    pub const fn with_prefix(self) -> Self {
        Self { has_prefix: true, ..self }
    }

    /// The text, without the space before it.
    pub const fn text(&self) -> &'t str {
        self.text
    }

    /// Where it starts, in bytes of the whole text.
    pub const fn start(&self) -> usize {
        self.start
    }

    /// Whether a space is before it.
    pub const fn has_prefix(&self) -> bool {
        self.has_prefix
    }

    /// Its bytes, and the space.
    pub const fn len(&self) -> usize {
        self.text.len().saturating_add(self.has_prefix as usize)
    }

    /// Whether there is neither a text nor a space.
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.has_prefix
    }

    /// The first `len`, which ends a character, and what follows.
    pub fn split_at(self, len: usize) -> Option<(Self, Self)> {
        let has_prefix = self.has_prefix && len > 0;
        let (first, rest) = self.text.split_at_checked(len.checked_sub(has_prefix.into())?)?;
        let behind = Self { text: rest, start: self.start + first.len(), has_prefix: self.has_prefix && !has_prefix };
        Some((Self { text: first, has_prefix, ..self }, behind))
    }

    /// What is behind the first `len`, which ends a character.
    pub fn behind(self, len: usize) -> Option<Self> {
        self.split_at(len).map(|(_, rest)| rest)
    }

    /// Each character with the length up to its end. One that is `stand_in` is a space.
    pub fn chars(self, stand_in: Option<char>) -> impl Iterator<Item = (usize, char)> + Clone + use<'t> {
        let prefix = usize::from(self.has_prefix);
        let text = self
            .text
            .char_indices()
            .map(move |(at, c)| (prefix + at + c.len_utf8(), if Some(c) == stand_in { ' ' } else { c }));
        let before = if self.has_prefix { Some((1, ' ')) } else { None };
        before.into_iter().chain(text)
    }
}
