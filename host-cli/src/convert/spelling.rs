//! A choice of formats as one word: `q4`, `q4+head=q8+embeddings=q6`, or `auto:4.5bpw`.
//!
//! A format, or `auto:` and a [`Budget`](super::budget::Budget); then for parts of the model that have another format a
//! `+`, the part, `=`, and its format. Parts are those of [`Choice`]: `head`, `embeddings` and `vectors`.

use std::fmt;
use std::str::FromStr;

use emberlm_core::format::Format;

use super::formats::{Choice, VectorFormat, Weights};
use crate::ground::named;
use crate::ground::shown;

const AUTO: &str = "auto";

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weights {
            Weights::Format(format) => f.write_str(format.name())?,
            Weights::Auto(budget) => write!(f, "{AUTO}:{}", budget.word())?,
        }
        for (part, format) in [("head", self.head), ("embeddings", self.embeddings)] {
            if let Some(format) = format {
                write!(f, "+{part}={}", format.name())?;
            }
        }
        self.vectors.map_or(Ok(()), |vectors| write!(f, "+vectors={}", vectors.name()))
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let mut parts = word.split('+');
        let weights = weights(parts.next().unwrap_or_default())?;
        let mut choice = Self { weights, head: None, embeddings: None, vectors: None };
        for part in parts {
            let (name, format_name) = part.split_once('=').unwrap_or((part, ""));
            let twice = match name {
                "head" => choice.head.replace(format(format_name)?).is_some(),
                "embeddings" => choice.embeddings.replace(format(format_name)?).is_some(),
                "vectors" => {
                    let vectors = named::find(&VectorFormat::ALL, VectorFormat::name, format_name)?;
                    choice.vectors.replace(vectors).is_some()
                }
                _ => {
                    return Err(format!("\"{}\" is none of head=, embeddings= and vectors=FORMAT", shown::value(part)));
                }
            };
            if twice {
                return Err(format!("{name} is named twice"));
            }
        }
        Ok(choice)
    }
}

fn format(name: &str) -> Result<Format, String> {
    named::find(&Format::ALL, Format::name, name)
}

fn weights(word: &str) -> Result<Weights, String> {
    match word.split_once(':') {
        Some((AUTO, budget)) => budget.parse().map(Weights::Auto),
        _ if word == AUTO => Err("auto needs a budget: auto:512K for bytes of the blob, or auto:4.5bpw".into()),
        _ => format(word).map(Weights::Format).map_err(|error| format!("{error}, auto:BUDGET")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::budget::Budget;

    #[test]
    fn budgets_are_read_and_spelled() {
        for word in ["auto:4.5bpw", "auto:123456", "auto:300K", "auto:2M", "auto:4bpw+head=q8+vectors=f16"] {
            assert_eq!(word.parse::<Choice>().unwrap().to_string(), word);
        }
        let budget = Weights::Auto(Budget::Bytes(2048));
        assert_eq!("auto:2048".parse::<Choice>().map(|choice| choice.weights), Ok(budget));
        assert!("auto:".parse::<Choice>().is_err() && "auto:4.5".parse::<Choice>().is_err());
    }

    #[test]
    fn words_are_read_and_spelled() {
        let choice: Choice = "q4+embeddings=q6+vectors=f16+head=q8".parse().unwrap();
        let (head, embeddings, vectors) = (Some(Format::Q8), Some(Format::Q6), Some(VectorFormat::F16));
        assert_eq!(choice, Choice { head, embeddings, vectors, ..Choice::uniform(Format::Q4) });
        assert_eq!(choice.to_string(), "q4+head=q8+embeddings=q6+vectors=f16");
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(Choice::uniform(format)));
        }
    }

    #[test]
    fn what_is_no_choice_is_named() {
        let formats = Format::ALL.map(Format::name).join(", ");
        for (word, why) in [
            ("", format!("\"\" is none of {formats}, auto:BUDGET")),
            ("q9", format!("\"q9\" is none of {formats}, auto:BUDGET")),
            ("auto", "auto needs a budget: auto:512K for bytes of the blob, or auto:4.5bpw".into()),
            ("q4+head", format!("\"\" is none of {formats}")),
            ("q4+head=Q8", format!("\"Q8\" is none of {formats}")),
            ("q4+head=auto:4bpw", format!("\"auto:4bpw\" is none of {formats}")),
            ("q4+vectors=q8", "\"q8\" is none of f32, f16".into()),
            ("q4+tail=q8", "\"tail=q8\" is none of head=, embeddings= and vectors=FORMAT".into()),
            ("q4+", "\"\" is none of head=, embeddings= and vectors=FORMAT".into()),
            ("q4+head=q8+head=q6", "head is named twice".into()),
        ] {
            assert_eq!(word.parse::<Choice>(), Err(why));
        }
    }
}
