//! `emberlm tokenize`: text to ids and back.

use std::path::Path;

use clap::Args;
use emberlm_core::config::TokenId;
use serde::Serialize;

use super::console::Console;
use super::error::Error;
use super::outcome::Outcome;
use crate::ground::shown;
use crate::report::Report;
use crate::text::input::{InputError, read_text};
use crate::text::tokenizer::select::{Found, Search};

/// The words after `tokenize`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// The text; `-` reads standard input
    #[arg(required_unless_present = "decode", conflicts_with = "decode")]
    text: Option<String>,
    /// Ids to turn into text, separated by commas or spaces
    #[arg(long, value_name = "IDS", num_args = 1.., value_delimiter = ',')]
    decode: Vec<String>,
    /// `gpt2`, a tokenizer.json, vocab.json, chars.json, tokenizer.bin, or a folder with one of them
    #[arg(long, value_name = "PATH", default_value = "gpt2")]
    tokenizer: String,
}

#[derive(Serialize)]
struct Tokens {
    ids: Vec<TokenId>,
    tokens: Vec<String>,
    /// The text that ids stand for, where ids were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip)]
    verbose: bool,
}

impl Report for Tokens {
    fn text(&self) -> String {
        match &self.text {
            _ if self.verbose => {
                self.ids.iter().zip(&self.tokens).map(|(id, token)| format!("{id:>8}  {token:?}\n")).collect()
            }
            // The text was told already.
            Some(_) => "\n".into(),
            None => self.ids.iter().map(TokenId::to_string).collect::<Vec<_>>().join(" ") + "\n",
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// No such tokenizer, text that it cannot represent, ids that it does not have.
pub fn run(args: RawArgs, console: Console) -> Result<Outcome, Error> {
    let Found { tokenizer, notes, .. } = Search { named: Some(&args.tokenizer), ..Search::default() }.find()?;
    notes.iter().for_each(|note| console.note(note));
    let (ids, text) = match args.text {
        Some(text) => (tokenizer.encode(&given(text, console)?)?, None),
        None => {
            let ids = parse_ids(&args.decode)?;
            let text = tokenizer.decode(&ids)?;
            (ids, Some(text))
        }
    };
    let tokens = ids.iter().map(|&id| tokenizer.token_text(id)).collect::<Result<_, _>>()?;
    if let Some(text) = text.as_ref().filter(|_| !console.verbose) {
        console.stream(text)?;
    }
    console.print(&Tokens { ids, tokens, text, verbose: console.verbose })?;
    Ok(Outcome::Passed)
}

fn given(text: String, console: Console) -> Result<String, InputError> {
    if text == "-" { read_text(Path::new("-"), console.max_input) } else { Ok(text) }
}

fn parse_ids(words: &[String]) -> Result<Vec<TokenId>, Error> {
    let ids = words.iter().flat_map(|word| word.split([',', ' ', '[', ']'])).filter(|word| !word.is_empty());
    ids.map(|id| id.parse().map_err(|_| Error::Usage(format!("--decode: \"{}\" is not a token id", shown::value(id)))))
        .collect()
}
