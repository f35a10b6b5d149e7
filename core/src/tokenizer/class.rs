//! The classes of characters that GPT-2's pattern tells apart.

use super::class_table::RANGES;

/// A class of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// None of the others.
    Other,
    /// `\p{L}`: general category L.
    Letter,
    /// `\p{N}`: general category N.
    Number,
    /// `\s`: property White_Space.
    Space,
}

impl Class {
    /// All classes, by their codes in the table.
    pub const ALL: [Self; 4] = [Self::Other, Self::Letter, Self::Number, Self::Space];

    /// The class of `c`.
    pub fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::Letter,
            '0'..='9' => Self::Number,
            ' ' | '\t'..='\r' => Self::Space,
            '\0'..='\x7f' => Self::Other,
            _ => Self::in_table(c),
        }
    }

    /// The class by the last range that starts at or before `c`.
    fn in_table(c: char) -> Self {
        let behind = RANGES.partition_point(|&range| range >> 2 <= u32::from(c));
        let code = behind.checked_sub(1).and_then(|index| RANGES.get(index)).map_or(0, |&range| range & 3);
        match code {
            1 => Self::Letter,
            2 => Self::Number,
            3 => Self::Space,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_is_the_tables() {
        for c in '\0'..='\u{ff}' {
            assert_eq!(Class::of(c), Class::in_table(c), "{c:?}");
        }
    }

    #[test]
    fn known_characters() {
        for (c, class) in [
            ('ß', Class::Letter),
            ('字', Class::Letter),
            ('²', Class::Number),
            ('٣', Class::Number),
            ('Ⅷ', Class::Number),
            ('\u{a0}', Class::Space),
            ('\u{3000}', Class::Space),
            ('\u{200b}', Class::Other),
            ('\u{301}', Class::Other),
            ('🙂', Class::Other),
            ('\u{e000}', Class::Other),
            (char::MAX, Class::Other),
        ] {
            assert_eq!(Class::of(c), class, "{c:?}");
        }
    }
}
