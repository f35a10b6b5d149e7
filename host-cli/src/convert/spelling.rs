//! A choice of formats as one word: `q4`, or `q4+head=q8+embeddings=q6`.
//!
//! A format, then for parts of the model that have another one a `+`, the part, `=`, and its format. Parts are those of
//! [`Choice`]: `head` and `embeddings`.

use std::fmt;
use std::str::FromStr;

use emberlm_core::format::Format;

use super::formats::Choice;
use crate::named;

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.weights.name())?;
        for (part, format) in [("head", self.head), ("embeddings", self.embeddings)] {
            if let Some(format) = format {
                write!(f, "+{part}={}", format.name())?;
            }
        }
        Ok(())
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let format = |name: &str| named::find(&Format::ALL, Format::name, name);
        let mut parts = word.split('+');
        let mut choice = Self::uniform(format(parts.next().unwrap_or_default())?);
        for part in parts {
            let (name, format_name) = part.split_once('=').unwrap_or((part, ""));
            let place = match name {
                "head" => &mut choice.head,
                "embeddings" => &mut choice.embeddings,
                _ => return Err(format!("{part:?} is neither head=FORMAT nor embeddings=FORMAT")),
            };
            if place.replace(format(format_name)?).is_some() {
                return Err(format!("{name} is named twice"));
            }
        }
        Ok(choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_spelled() {
        let choice: Choice = "q4+embeddings=q6+head=q8".parse().unwrap();
        assert_eq!(choice, Choice { weights: Format::Q4, head: Some(Format::Q8), embeddings: Some(Format::Q6) });
        assert_eq!(choice.to_string(), "q4+head=q8+embeddings=q6");
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(Choice::uniform(format)));
        }
    }

    #[test]
    fn what_is_no_choice_is_named() {
        let formats = Format::ALL.map(Format::name).join(", ");
        for (word, why) in [
            ("", format!("\"\" is none of {formats}")),
            ("q9", format!("\"q9\" is none of {formats}")),
            ("q4+head", format!("\"\" is none of {formats}")),
            ("q4+head=Q8", format!("\"Q8\" is none of {formats}")),
            ("q4+tail=q8", "\"tail=q8\" is neither head=FORMAT nor embeddings=FORMAT".into()),
            ("q4+", "\"\" is neither head=FORMAT nor embeddings=FORMAT".into()),
            ("q4+head=q8+head=q6", "head is named twice".into()),
        ] {
            assert_eq!(word.parse::<Choice>(), Err(why));
        }
    }
}
