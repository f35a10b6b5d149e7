//! What a text goes through before its tokens merge, and what becomes of them when they are decoded: choices that do not
//! depend on each other.

use super::super::words::NONE;
use crate::config::TokenId;

/// What a piece of text begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Characters; the bytes of one without a token.
    Characters,
}

/// Where a text is cut into pieces that do not merge with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Nowhere.
    Whole,
    /// By GPT-2's pattern.
    Gpt2,
    /// By Llama 3's pattern: numbers of up to three digits.
    Llama3,
    /// By Qwen 2's pattern: digits apart.
    Qwen2,
    /// Before each space.
    BeforeSpaces,
    /// Behind each space.
    AfterSpaces,
    /// Before each space that follows another character.
    BeforeRunsOfSpaces,
}

/// What is cut out before [`Split`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// Nothing.
    Kept,
    /// Runs of numbers.
    Runs,
    /// Each character that is a number.
    Single,
}

/// Where a space that is not the text's own is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// Nowhere.
    Never,
    /// Before a text that begins with neither a space nor an added token.
    First,
    /// Before each part between added tokens that does not begin with a space.
    Always,
    /// Before each part between added tokens that are not normalised.
    Inserted,
}

/// What becomes of spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spaces {
    /// Nothing.
    Kept,
    /// The character stands for a space, and is one wherever a text has it. Added tokens that are normalised are found in
    /// what a text is then.
    Normalized(char),
    /// The character stands for a space, and is one wherever a text has it but in added tokens.
    Replaced(char),
}

/// The form that a text has to have before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NormalForm {
    /// Any.
    Any,
    /// Unicode's form C.
    Nfc,
    /// Form D.
    Nfd,
    /// Form KC.
    Nfkc,
    /// Form KD.
    Nfkd,
}

impl NormalForm {
    /// Its name, `None` for any form.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Nfc => Some("NFC"),
            Self::Nfd => Some("NFD"),
            Self::Nfkc => Some("NFKC"),
            Self::Nfkd => Some("NFKD"),
        }
    }
}

/// All choices of a [`Kind::RankedBpe`](crate::tokenizer::Kind::RankedBpe).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What a piece of text begins as.
    pub unit: Unit,
    /// Where a text is cut.
    pub split: Split,
    /// What is cut out before.
    pub digits: Digits,
    /// Where a space is put.
    pub prefix: Prefix,
    /// What becomes of spaces.
    pub spaces: Spaces,
    /// The form that texts have to have, which the device does not give them.
    pub form: NormalForm,
    /// Whether a piece that is a token is that token, whatever merges.
    pub ignores_merges: bool,
    /// The token for a character that nothing else stands for.
    pub unknown: Option<TokenId>,
    /// Whether unknown characters in a row are one token.
    pub fuses_unknown: bool,
    /// Spaces that a decoded text loses where it begins, at most.
    pub strips: u8,
    /// Whether the first token loses all of its spaces when it is decoded.
    pub drops_first_spaces: bool,
}

impl Rules {
    /// Bytes of whole texts, with nothing done to them.
    pub const PLAIN: Self = Self {
        unit: Unit::Bytes,
        split: Split::Whole,
        digits: Digits::Kept,
        prefix: Prefix::Never,
        spaces: Spaces::Kept,
        form: NormalForm::Any,
        ignores_merges: false,
        unknown: None,
        fuses_unknown: false,
        strips: 0,
        drops_first_spaces: false,
    };

    /// Words that say all of them.
    pub const WORDS: usize = 4;

    /// The words that a section has.
    pub const fn to_words(&self) -> [u32; Self::WORDS] {
        let (spaces, stand_in) = match self.spaces {
            Spaces::Kept => (0, NONE),
            Spaces::Normalized(c) => (1, c as u32),
            Spaces::Replaced(c) => (2, c as u32),
        };
        let flags = self.ignores_merges as u8 | (self.fuses_unknown as u8) << 1 | (self.drops_first_spaces as u8) << 2;
        [
            u32::from_le_bytes([self.unit as u8, self.split as u8, self.digits as u8, self.prefix as u8]),
            u32::from_le_bytes([spaces, self.form as u8, flags, self.strips]),
            stand_in,
            match self.unknown {
                Some(token) => token,
                None => NONE,
            },
        ]
    }

    /// The rules that words say; `None` where one has no such value, or two do not go together.
    pub fn from_words([cuts, more, stand_in, unknown]: [u32; Self::WORDS]) -> Option<Self> {
        let ([unit, split, digits, prefix], [spaces, form, flags, strips]) = (cuts.to_le_bytes(), more.to_le_bytes());
        let is_set = |bit: u8| flags & 1 << bit != 0;
        let rules = Self {
            unit: *[Unit::Bytes, Unit::Characters].get(usize::from(unit))?,
            split: *SPLITS.get(usize::from(split))?,
            digits: *[Digits::Kept, Digits::Runs, Digits::Single].get(usize::from(digits))?,
            prefix: *[Prefix::Never, Prefix::First, Prefix::Always, Prefix::Inserted].get(usize::from(prefix))?,
            spaces: match (spaces, stand_in) {
                (0, NONE) => Spaces::Kept,
                (1, code) => Spaces::Normalized(char::from_u32(code)?),
                (2, code) => Spaces::Replaced(char::from_u32(code)?),
                _ => return None,
            },
            form: *FORMS.get(usize::from(form))?,
            ignores_merges: is_set(0),
            unknown: if unknown == NONE { None } else { Some(unknown) },
            fuses_unknown: is_set(1),
            strips,
            drops_first_spaces: is_set(2),
        };
        if flags < 8 && rules.go_together() { Some(rules) } else { None }
    }

    /// Whether each does what it says beside the others.
    pub fn go_together(&self) -> bool {
        let is_bytes = self.unit == Unit::Bytes;
        // Bytes are text as it stands, and their decoder takes nothing away.
        let of_characters = self.spaces != Spaces::Kept
            || self.unknown.is_some()
            || self.fuses_unknown
            || self.strips > 0
            || self.drops_first_spaces;
        // The patterns know no space that is not the text's own, but GPT-2's its first.
        let patterns = matches!(self.split, Split::Gpt2 | Split::Llama3 | Split::Qwen2);
        let prefixed = self.prefix != Prefix::Never;
        let contradictions = [
            is_bytes && of_characters,
            patterns && self.spaces != Spaces::Kept,
            patterns && prefixed && self.split != Split::Gpt2,
            self.digits != Digits::Kept && (prefixed || self.spaces != Spaces::Kept),
            self.prefix == Prefix::Inserted && !matches!(self.spaces, Spaces::Normalized(_)),
            matches!(self.spaces, Spaces::Normalized(' ') | Spaces::Replaced(' ')),
        ];
        !contradictions.contains(&true)
    }

    /// The character that stands for a space, where added tokens that are normalised are looked for, and behind that.
    pub(super) const fn stand_ins(&self) -> [Option<char>; 2] {
        match self.spaces {
            Spaces::Kept => [None; 2],
            Spaces::Normalized(c) => [Some(c); 2],
            Spaces::Replaced(c) => [None, Some(c)],
        }
    }
}

const SPLITS: [Split; 7] = [
    Split::Whole,
    Split::Gpt2,
    Split::Llama3,
    Split::Qwen2,
    Split::BeforeSpaces,
    Split::AfterSpaces,
    Split::BeforeRunsOfSpaces,
];

const FORMS: [NormalForm; 5] = [NormalForm::Any, NormalForm::Nfc, NormalForm::Nfd, NormalForm::Nfkc, NormalForm::Nfkd];
