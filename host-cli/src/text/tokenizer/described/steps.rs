//! What texts go through before their tokens merge, and tokens when they are decoded.

use emberlm_core::tokenizer::{Digits, NormalForm, Prefix, Spaces, Split, Unit};
use serde_json::Value;

use crate::ground::shown::{quoted, value as shown};
use crate::text::tokenizer::document::Document;

/// The pattern of ByteLevel.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The patterns of Llama 3 and Qwen 2 around how many digits a number has.
const LINES: [&str; 2] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// What texts go through.
pub struct Texts {
    /// The form that they have to have.
    pub form: NormalForm,
    /// What stands for spaces.
    pub spaces: Spaces,
    /// The space before them.
    pub prefix: Prefix,
    /// What is cut out of them first.
    pub digits: Digits,
    /// How they are cut.
    pub split: Split,
    /// What they consist of.
    pub unit: Unit,
}

impl Texts {
    /// Reads the normaliser and the pre-tokeniser of a document.
    ///
    /// # Errors
    /// A step that a section cannot say.
    pub fn read(document: &Document) -> Result<Self, String> {
        let mut texts = Self {
            form: NormalForm::Any,
            spaces: Spaces::Kept,
            prefix: Prefix::Never,
            digits: Digits::Kept,
            split: Split::Whole,
            unit: Unit::Characters,
        };
        let mut prepended = None;
        for step in document.steps("normalizer", "normalizers")? {
            texts.normalize(step, &mut prepended)?;
        }
        if let Some(c) = prepended {
            if !matches!(texts.spaces, Spaces::Normalized(stand_in) if c == stand_in || c == ' ') {
                return Err(format!("it puts {c:?} before a text, and that is not what it replaces spaces by"));
            }
            texts.prefix = Prefix::Inserted;
        }
        for step in document.steps("pre_tokenizer", "pretokenizers")? {
            if texts.unit == Unit::Bytes {
                return Err(format!("it goes on with {} when its text is bytes", kind(step)));
            }
            texts.pre_tokenize(step)?;
        }
        Ok(texts)
    }

    /// The character that stands for a space.
    pub const fn stand_in(&self) -> Option<char> {
        match self.spaces {
            Spaces::Kept => None,
            Spaces::Normalized(c) | Spaces::Replaced(c) => Some(c),
        }
    }

    fn normalize(&mut self, step: &Value, prepended: &mut Option<char>) -> Result<(), String> {
        let form = match kind(step).as_str() {
            "NFC" => NormalForm::Nfc,
            "NFD" => NormalForm::Nfd,
            "NFKC" => NormalForm::Nfkc,
            "NFKD" => NormalForm::Nfkd,
            "Prepend" => {
                let c =
                    one_char(&step["prepend"]).ok_or_else(|| format!("it puts {} before a text", step["prepend"]))?;
                return match prepended.replace(c) {
                    Some(_) => Err("it puts something before a text twice".into()),
                    None => Ok(()),
                };
            }
            "Replace" => {
                let (pattern, content) = (&step["pattern"], &step["content"]);
                let stand_in = one_char(content).filter(|_| pattern["String"] == " " && self.spaces == Spaces::Kept);
                let c = stand_in.ok_or_else(|| format!("it replaces {pattern} by {content}"))?;
                self.spaces = if c == ' ' { Spaces::Kept } else { Spaces::Normalized(c) };
                return Ok(());
            }
            other => return Err(format!("it normalises text by {}", shown(other))),
        };
        if self.form != NormalForm::Any || self.spaces != Spaces::Kept || prepended.is_some() {
            return Err(format!("it normalises text by {} behind another step", kind(step)));
        }
        self.form = form;
        Ok(())
    }

    fn pre_tokenize(&mut self, step: &Value) -> Result<(), String> {
        let is_cut = self.split != Split::Whole || self.prefix_is_late();
        let twice = || format!("it cuts text by {} behind another step", kind(step));
        match kind(step).as_str() {
            "Digits" => {
                if is_cut || self.digits != Digits::Kept || self.spaces != Spaces::Kept {
                    return Err(twice());
                }
                let is_single = step["individual_digits"].as_bool().unwrap_or_default();
                self.digits = if is_single { Digits::Single } else { Digits::Runs };
            }
            "Split" => {
                if is_cut {
                    return Err(twice());
                }
                self.split = self.split_by(step)?;
            }
            "ByteLevel" => {
                self.unit = Unit::Bytes;
                if self.spaces != Spaces::Kept {
                    return Err("it replaces spaces, and its text is bytes".into());
                }
                if step["use_regex"] != false {
                    if is_cut {
                        return Err(twice());
                    }
                    self.split = Split::Gpt2;
                }
                if step["add_prefix_space"] != false {
                    if is_cut || self.digits != Digits::Kept {
                        return Err("it puts a space before each piece (add_prefix_space)".into());
                    }
                    self.prefix = Prefix::Always;
                }
            }
            "Metaspace" => {
                if is_cut || self.digits != Digits::Kept {
                    return Err(twice());
                }
                let (c, prefix) = metaspace(step)?;
                self.spaces = match self.spaces {
                    Spaces::Kept if c != ' ' => Spaces::Replaced(c),
                    Spaces::Normalized(stand_in) if stand_in == c => self.spaces,
                    _ => return Err(format!("its Metaspace is {c:?}")),
                };
                if self.prefix != Prefix::Never && prefix != Prefix::Never {
                    return Err("it puts a space before a text twice".into());
                }
                if prefix != Prefix::Never {
                    self.prefix = prefix;
                }
                self.split = if step["split"] == false { Split::Whole } else { Split::BeforeSpaces };
            }
            other => return Err(format!("it cuts text by {}", shown(other))),
        }
        Ok(())
    }

    /// Whether a step before has put a space before parts, which it must not put before pieces.
    const fn prefix_is_late(&self) -> bool {
        matches!(self.prefix, Prefix::First | Prefix::Always)
    }

    fn split_by(&self, step: &Value) -> Result<Split, String> {
        let (pattern, behavior) = (&step["pattern"], step["behavior"].as_str().unwrap_or_default());
        let unknown = || {
            let pattern = pattern["Regex"].as_str().or_else(|| pattern["String"].as_str()).unwrap_or_default();
            format!("it cuts text by the pattern {} ({})", quoted(pattern), shown(behavior))
        };
        if let Some(regex) = pattern["Regex"].as_str() {
            let inverted = step["invert"] == true;
            // Each of these patterns matches all of a text.
            if !(behavior == "Isolated" || behavior == "Removed" && inverted) || self.spaces != Spaces::Kept {
                return Err(unknown());
            }
            let digits = regex.strip_prefix(LINES[0]).and_then(|rest| rest.strip_suffix(LINES[1]));
            return match digits {
                Some("{1,3}") => Ok(Split::Llama3),
                Some("") => Ok(Split::Qwen2),
                _ if regex == GPT2 => Ok(Split::Gpt2),
                _ => Err(unknown()),
            };
        }
        let text = one_char(&pattern["String"]).filter(|_| step["invert"] != true).ok_or_else(unknown)?;
        let (is_kept, is_stand_in) = (self.spaces == Spaces::Kept, self.stand_in() == Some(text));
        match (text, behavior) {
            // No space is left in a text.
            (' ', _) if !is_kept => Ok(Split::Whole),
            (c, "MergedWithPrevious") if c == ' ' || is_stand_in => Ok(Split::AfterSpaces),
            (c, "MergedWithNext") if c == ' ' || is_stand_in => Ok(Split::BeforeSpaces),
            _ => Err(unknown()),
        }
    }
}

/// The character of a Metaspace, and the space before a text.
fn metaspace(step: &Value) -> Result<(char, Prefix), String> {
    let c = one_char(&step["replacement"]).ok_or_else(|| format!("its Metaspace is {}", step["replacement"]))?;
    let prefix = match step["prepend_scheme"].as_str() {
        _ if step["add_prefix_space"] == false => Prefix::Never,
        Some("first") => Prefix::First,
        Some("never") => Prefix::Never,
        Some("always") | None => Prefix::Always,
        Some(other) => return Err(format!("its Metaspace's prepend_scheme is {}", shown(other))),
    };
    Ok((c, prefix))
}

/// What tokens go through when they become text.
pub struct Decoding {
    /// Spaces that a text loses where it begins, at most.
    pub strips: u8,
    /// Whether the first token loses all of its spaces.
    pub drops_first_spaces: bool,
    /// Whether tokens with the names of bytes are joined.
    pub joins_bytes: bool,
}

impl Decoding {
    /// Reads the decoder of a document, which has to undo what `texts` go through.
    ///
    /// # Errors
    /// A step that a section cannot say, or one that is not there.
    pub fn read(document: &Document, texts: &Texts, byte_fallback: bool) -> Result<Self, String> {
        let steps = document.steps("decoder", "decoders")?;
        let mut decoding = Self { strips: 0, drops_first_spaces: false, joins_bytes: false };
        if texts.unit == Unit::Bytes {
            return match &steps[..] {
                [] => Ok(decoding),
                [step] if step["type"] == "ByteLevel" => Ok(decoding),
                _ => Err("its decoder is not ByteLevel".into()),
            };
        }
        if steps.is_empty() {
            return Err("it has no decoder: its tokens are joined by spaces".into());
        }
        let mut steps = &steps[..];
        let mut take = |name: &str| {
            let (step, rest) = steps.split_first().filter(|(step, _)| step["type"] == name)?;
            steps = rest;
            Some(*step)
        };
        if let Some(stand_in) = texts.stand_in() {
            if let Some(step) = take("Metaspace") {
                let (c, prefix) = metaspace(step)?;
                if c != stand_in {
                    return Err(format!("its decoder's Metaspace is {c:?}, and {stand_in:?} stands for a space"));
                }
                decoding.drops_first_spaces = prefix != Prefix::Never;
            } else {
                let replaces =
                    |step: &&Value| one_char(&step["pattern"]["String"]) == Some(stand_in) && step["content"] == " ";
                let replace = take("Replace").filter(replaces);
                replace.ok_or_else(|| format!("its decoder does not begin with replacing {stand_in:?} by a space"))?;
            }
        }
        decoding.joins_bytes = take("ByteFallback").is_some();
        if byte_fallback && !decoding.joins_bytes {
            return Err("its characters fall back to bytes, and its decoder does not join them (ByteFallback)".into());
        }
        let is_fused = take("Fuse").is_some();
        if let Some(step) = take("Strip") {
            let start = step["start"].as_u64().and_then(|start| u8::try_from(start).ok());
            let strips = start.filter(|_| is_fused && step["content"] == " " && step["stop"] == 0);
            decoding.strips =
                strips.ok_or_else(|| format!("its decoder strips texts as {}", shown(&step.to_string())))?;
        }
        let _ = take("Fuse");
        match steps.first() {
            Some(step) => Err(format!("its decoder goes on with {}", kind(step))),
            None => Ok(decoding),
        }
    }
}

fn kind(step: &Value) -> String {
    shown(step["type"].as_str().unwrap_or("a step without a type")).to_string()
}

/// The character that a text is.
fn one_char(text: &Value) -> Option<char> {
    let mut chars = text.as_str()?.chars();
    chars.next().filter(|_| chars.next().is_none())
}
