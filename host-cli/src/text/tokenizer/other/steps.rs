//! The steps that a text goes through, one by one: what a step would make of it is bounded before the step is taken.

use std::sync::{Mutex, PoisonError};

use fancy_regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenizers::{
    Decoder, DecoderWrapper, NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer, PreTokenizerWrapper,
};

use crate::ground::shown::{quoted, value as shown};

/// Levels of arrays and objects in a step, at most.
const MAX_DEPTH: usize = 8;

/// How much longer than the text it may become, and what it may have in any case.
const MAX_GROWTH: usize = 16;
const ALWAYS_ALLOWED: usize = 1 << 16;

/// Bytes of a text that are put through a table of characters at a time, to find out how long it becomes.
const SLICE: usize = 1 << 16;

/// The bytes that a text may become on its way.
#[derive(Clone, Copy, Debug)]
pub struct Room(usize);

impl Room {
    /// For a text of `len` bytes.
    pub const fn of(len: usize) -> Self {
        Self(len.saturating_mul(MAX_GROWTH).saturating_add(ALWAYS_ALLOWED))
    }

    /// Whether there is room for `bytes`.
    ///
    /// # Errors
    /// There is not.
    pub fn check(self, bytes: usize) -> Result<(), String> {
        if bytes > self.0 { Err(format!("it turns a text into more than {MAX_GROWTH} times as much")) } else { Ok(()) }
    }
}

/// A step, and what is known of it beforehand.
pub struct Step<W> {
    step: W,
    what: What,
}

/// What a step does to the length of a text.
enum What {
    /// It is at most some times as long afterwards.
    Ordinary,
    /// It is longer by so much.
    Adds(usize),
    /// Each match is replaced by so much; `None` where it is only cut.
    Matches { pattern: Pattern, content_bytes: Option<usize> },
    /// Characters are replaced by a table.
    Table,
}

enum Pattern {
    Text(String),
    Regex(Box<Regex>),
}

impl Pattern {
    /// Matches in `text`.
    ///
    /// # Errors
    /// The search gave up; the library would take the rest of the text for one without matches.
    fn count(&self, text: &str) -> Result<usize, String> {
        match self {
            Self::Text(pattern) => Ok(text.matches(pattern.as_str()).count()),
            Self::Regex(regex) => {
                let found = regex.find_iter(text).try_fold(0, |n, found| found.map(|_| n + 1));
                found
                    .map_err(|error| format!("its pattern {} cannot be searched for ({error})", quoted(regex.as_str())))
            }
        }
    }
}

impl<'v, W: Deserialize<'v> + Serialize> Step<W> {
    /// One of the steps of a document.
    ///
    /// # Errors
    /// It is not known.
    pub fn new(value: &'v Value) -> Result<Self, String> {
        if !value.is_object() {
            return Err(format!("one of its steps is no object: {}", shown(&value.to_string())));
        }
        if depth(value) > MAX_DEPTH {
            return Err("one of its steps is nested too deep".into());
        }
        let kind = value["type"].as_str().unwrap_or("step");
        let step = W::deserialize(value).map_err(|error| format!("its {}: {error}", shown(kind)))?;
        // The library takes a step without fields for any other such step.
        let known = serde_json::to_value(&step).map_err(|error| error.to_string())?;
        if known["type"].is_string() && value["type"].is_string() && known["type"] != value["type"] {
            return Err(format!("its {}: there is no such step", shown(kind)));
        }
        let content_bytes = value["content"].as_str().map(str::len);
        let what = match (kind, pattern(value)?) {
            (_, Some(pattern)) => What::Matches { pattern, content_bytes },
            ("Prepend", _) => What::Adds(value["prepend"].as_str().map_or(0, str::len)),
            ("Precompiled", _) => What::Table,
            _ => What::Ordinary,
        };
        Ok(Self { step, what })
    }
}

impl<W> Step<W> {
    /// Bytes that become of `text`, as far as that can be said beforehand; `run` takes the step.
    ///
    /// # Errors
    /// There is no room for them, or the step fails.
    fn predict(&self, text: &str, room: Room, run: impl Fn(&str) -> Result<usize, String>) -> Result<usize, String> {
        let bytes = match &self.what {
            What::Ordinary => text.len(),
            What::Adds(bytes) => text.len().saturating_add(*bytes),
            What::Matches { pattern, content_bytes } => {
                let added = pattern.count(text)?.saturating_mul(content_bytes.unwrap_or(0));
                text.len().saturating_add(added)
            }
            What::Table => {
                let (mut rest, mut bytes) = (text, 0usize);
                while !rest.is_empty() {
                    let (slice, behind) = rest.split_at(rest.floor_char_boundary(SLICE));
                    bytes = bytes.saturating_add(run(slice)?);
                    room.check(bytes)?;
                    rest = behind;
                }
                bytes
            }
        };
        room.check(bytes).map(|()| bytes)
    }
}

/// A step's pattern, if it has one.
fn pattern(value: &Value) -> Result<Option<Pattern>, String> {
    let kind = value["type"].as_str().unwrap_or_default();
    if !matches!(kind, "Replace" | "Split") {
        return Ok(None);
    }
    let (text, regex) = (value["pattern"]["String"].as_str(), value["pattern"]["Regex"].as_str());
    match (text, regex) {
        (Some(""), _) | (_, Some("")) => Err(format!("its {kind} has an empty pattern")),
        (Some(text), _) => Ok(Some(Pattern::Text(text.to_owned()))),
        (None, Some(regex)) => match Regex::new(regex) {
            Ok(regex) => Ok(Some(Pattern::Regex(Box::new(regex)))),
            Err(error) => Err(format!("its {kind} has a pattern that is none ({error})")),
        },
        (None, None) => Ok(None),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(items) => 1 + items.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// All steps of normalisation, for the texts between added tokens.
pub struct Normalization<'s> {
    steps: &'s [Step<NormalizerWrapper>],
    room: Room,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Bytes that came out so far.
    bytes: usize,
    fault: Option<String>,
}

impl<'s> Normalization<'s> {
    /// Of a text of `len` bytes.
    pub fn new(steps: &'s [Step<NormalizerWrapper>], len: usize) -> Self {
        Self { steps, room: Room::of(len), state: Mutex::default() }
    }

    /// What went wrong: the library does not ask.
    ///
    /// # Errors
    /// A step failed, or had no room; nothing was normalised afterwards.
    pub fn finish(self) -> Result<(), String> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).fault.map_or(Ok(()), Err)
    }

    fn run(&self, text: &mut NormalizedString, before: usize) -> Result<usize, String> {
        let room = Room(self.room.0.saturating_sub(before));
        for step in self.steps {
            let len_of = |slice: &str| {
                let mut slice = NormalizedString::from(slice);
                step.step.normalize(&mut slice).map_err(|error| error.to_string())?;
                Ok(slice.get().len())
            };
            step.predict(text.get(), room, len_of)?;
            step.step.normalize(text).map_err(|error| error.to_string())?;
            room.check(text.get().len())?;
        }
        Ok(before + text.get().len())
    }
}

impl Normalizer for Normalization<'_> {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.fault.is_none() {
            match self.run(text, state.bytes) {
                Ok(bytes) => state.bytes = bytes,
                Err(fault) => state.fault = Some(fault),
            }
        }
        Ok(())
    }
}

/// Cuts texts into pieces.
///
/// # Errors
/// A step failed, or had no room.
pub fn pre_tokenize(
    steps: &[Step<PreTokenizerWrapper>],
    text: &mut PreTokenizedString,
    room: Room,
) -> Result<(), String> {
    for step in steps {
        for (piece, _, tokens) in text.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            if tokens.is_none() {
                step.predict(piece, room, |slice| Ok(slice.len()))?;
            }
        }
        step.step.pre_tokenize(text).map_err(|error| error.to_string())?;
        let pieces = text.get_splits(OffsetReferential::Normalized, OffsetType::None);
        room.check(pieces.iter().map(|(piece, ..)| piece.len()).sum())?;
    }
    Ok(())
}

/// Turns tokens into the parts of a text.
///
/// # Errors
/// A step failed, or had no room.
pub fn decode(steps: &[Step<DecoderWrapper>], mut tokens: Vec<String>) -> Result<Vec<String>, String> {
    let len = |tokens: &[String]| tokens.iter().map(String::len).sum::<usize>();
    let room = Room::of(len(&tokens));
    for step in steps {
        let mut before = 0;
        for token in &tokens {
            before += step.predict(token, Room(room.0.saturating_sub(before)), |slice| Ok(slice.len()))?;
        }
        tokens = step.step.decode_chain(tokens).map_err(|error| error.to_string())?;
        room.check(len(&tokens))?;
    }
    Ok(tokens)
}
