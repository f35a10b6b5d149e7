//! What is scored: rows of token ids, from text files, from a file of ids, or from a prompt.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use emberlm_core::config::TokenId;
use serde_json::Value;

use super::tokenizer::{Tokenizer, TokenizerError};
use crate::ground::files::read::{self, BYTE_ORDER_MARK};
use crate::ground::files::{Fault, FileError, Kind, Wanted};
use crate::ground::shown;

/// Where the rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Text files.
    Text(Vec<PathBuf>),
    /// A file of ids.
    Tokens(PathBuf),
    /// A text.
    Prompt(String),
}

/// Tokens that are scored on their own: the first is context only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What errors call it.
    pub name: String,
    /// The ids.
    pub tokens: Vec<TokenId>,
}

/// The rows to score, each id below `n_vocab`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    rows: Vec<Row>,
    /// Tokens of rows or parts of rows that are not to be scored.
    n_left_out: usize,
    /// What of the files may surprise, to be shown.
    notes: Vec<String>,
}

/// Why there is nothing to score.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A file could not be read, or is something else.
    #[error(transparent)]
    File(#[from] FileError),
    /// Standard input could not be read, or is no text.
    #[error("standard input: {0}")]
    StandardInput(String),
    /// More than is read of a text or of ids.
    #[error(
        "{} has more than {most} bytes, the most that are read of it: --max-input raises that",
        shown::message(name)
    )]
    TooLong {
        /// The file.
        name: String,
        /// The limit.
        most: u64,
    },
    /// The text cannot be represented.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// There is text, and no tokenizer for it.
    #[error("text needs a tokenizer")]
    NoTokenizer,
    /// A file of ids that is not one.
    #[error("{} holds no token ids: {}", shown::message(name), shown::message(why))]
    NotTokens {
        /// The file.
        name: String,
        /// What is wrong, and where.
        why: String,
    },
    /// A text that begins with a byte order mark, under a tokenizer that cannot represent it.
    #[error(
        "{} begins with a byte order mark, U+FEFF, for which the tokenizer has no token: save it without",
        shown::message(name)
    )]
    Mark {
        /// The file.
        name: String,
    },
    /// No tokens at all.
    #[error("{} is empty", shown::message(name))]
    Empty {
        /// The file or row.
        name: String,
    },
    /// An id that the model does not have.
    #[error(
        "token {id}{} at index {index} of {} is out of range: n_vocab is {n_vocab}",
        text.as_ref().map_or_else(String::new, |text| format!(" ({})", shown::quoted(text))), shown::message(row)
    )]
    TokenOutOfRange {
        /// The id.
        id: u64,
        /// The token's text, where the row was text.
        text: Option<String>,
        /// The row's name.
        row: String,
        /// Position in the row, from 0.
        index: usize,
        /// The model's vocabulary.
        n_vocab: u32,
    },
    /// A row of ids that needs more than one window.
    #[error(
        "{} has {len} tokens, more than the {} of one window of n_ctx {n_ctx}: name the windows with --convention",
        shown::message(row), n_ctx + 1
    )]
    RowTooLong {
        /// The row's name.
        row: String,
        /// Its tokens.
        len: usize,
        /// The context.
        n_ctx: usize,
    },
}

impl InputError {
    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::StandardInput(_) => "io",
            Self::TooLong { .. } => "too_large",
            Self::Tokenizer(error) => error.kind(),
            Self::NoTokenizer => "usage",
            Self::Mark { .. } => "unrepresentable_text",
            Self::TokenOutOfRange { .. } => "token_out_of_range",
            _ => "input",
        }
    }
}

impl Source {
    /// Whether the rows are text, which needs a tokenizer.
    pub const fn is_text(&self) -> bool {
        !matches!(self, Self::Tokens(_))
    }

    /// Reads the rows, at most `most` bytes of each file. Text goes through `tokenizer`.
    ///
    /// # Errors
    /// A file cannot be read or is longer, text is empty or not representable, or an id is not below `n_vocab`.
    pub fn read(&self, tokenizer: Option<&Tokenizer>, n_vocab: u32, most: u64) -> Result<Input, InputError> {
        let mut notes = Vec::new();
        let encode = |name: &str, text: &str| -> Result<Row, InputError> {
            let tokenizer = tokenizer.ok_or(InputError::NoTokenizer)?;
            let tokens = tokenizer.encode(text).map_err(|error| error.in_text(name))?;
            Ok(Row { name: name.into(), tokens })
        };
        let rows = match self {
            Self::Prompt(text) => vec![encode("the prompt", text)?],
            Self::Text(paths) => {
                let read = |path: &PathBuf| {
                    let (name, text) = (name_of(path), read_text(path, most)?);
                    let row = encode(&name, &text);
                    if !text.starts_with(BYTE_ORDER_MARK) {
                        return row;
                    }
                    notes.push(format!("{name} begins with a byte order mark, U+FEFF, which is read as text"));
                    match row {
                        Err(InputError::Tokenizer(TokenizerError::Unrepresentable { position, .. }))
                            if position.offset == 0 =>
                        {
                            Err(InputError::Mark { name })
                        }
                        row => row,
                    }
                };
                paths.iter().map(read).collect::<Result<_, _>>()?
            }
            Self::Tokens(path) => {
                let text = read_utf8(path, Wanted::Tokens, most)?;
                let json = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
                parse_rows(&name_of(path), json.as_bytes()).map_err(|error| match is_stdin(path) {
                    true => error,
                    false => Wanted::Tokens.explain(path, error),
                })?
            }
        };
        for Row { name, tokens } in &rows {
            if tokens.is_empty() {
                return Err(InputError::Empty { name: name.clone() });
            }
            check_ids(name, tokens, tokenizer.filter(|_| self.is_text()), n_vocab)?;
        }
        Ok(Input { rows, n_left_out: 0, notes })
    }
}

impl Input {
    /// The rows, in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What of the files may surprise, a line each, to be shown.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Tokens that were given, left out or not.
    pub fn n_tokens(&self) -> usize {
        self.n_left_out + self.rows.iter().map(|row| row.tokens.len()).sum::<usize>()
    }

    /// Tokens that [`Input::shorten`] left out.
    pub const fn n_left_out(&self) -> usize {
        self.n_left_out
    }

    /// Puts `bos` before each row.
    pub fn begin(&mut self, bos: TokenId) {
        self.rows.iter_mut().for_each(|row| row.tokens.insert(0, bos));
    }

    /// Cuts rows so that `n_ctx` tokens at most follow `bos`, which is put before each piece.
    pub fn begin_windows(&mut self, bos: TokenId, n_ctx: usize) {
        let pieces = self.rows.iter().flat_map(|Row { name, tokens }| {
            let is_one = tokens.len() <= n_ctx;
            tokens.chunks(n_ctx).enumerate().map(move |(i, tokens)| Row {
                name: if is_one { name.clone() } else { format!("{name}, window {i}") },
                tokens: [&[bos], tokens].concat(),
            })
        });
        self.rows = pieces.collect();
    }

    /// Shortens each row to as many tokens as `keep` says of how many it has, and leaves out those of which it says none.
    pub fn shorten(&mut self, mut keep: impl FnMut(usize) -> Option<usize>) {
        let n_tokens = self.n_tokens();
        self.rows.retain_mut(|row| {
            let Some(n_kept) = keep(row.tokens.len()) else { return false };
            row.tokens.truncate(n_kept);
            true
        });
        self.n_left_out += n_tokens - self.n_tokens();
    }

    /// Checks that each row fits one window, as rows of ids must where no convention was named.
    ///
    /// # Errors
    /// The first row that does not.
    pub fn check_one_window(&self, n_ctx: usize) -> Result<(), InputError> {
        match self.rows.iter().find(|row| row.tokens.len() > n_ctx + 1) {
            Some(Row { name, tokens }) => Err(InputError::RowTooLong { row: name.clone(), len: tokens.len(), n_ctx }),
            None => Ok(()),
        }
    }
}

/// Bytes of a file of ids that is wrong, up to which all of it is read anew to say what is wrong with it.
const MOST_TO_EXPLAIN: usize = 64 << 20;

/// The rows of a JSON array of ids, or of an array of such arrays.
fn parse_rows(name: &str, json: &[u8]) -> Result<Vec<Row>, InputError> {
    let not_tokens = |why: String| InputError::NotTokens { name: name.into(), why };
    // What is right is read without a copy of it in between, which would take many times the file.
    if let Ok(tokens) = serde_json::from_slice::<Vec<TokenId>>(json)
        && !tokens.is_empty()
    {
        return Ok(vec![Row { name: "row 0".into(), tokens }]);
    }
    match serde_json::from_slice::<Vec<Vec<TokenId>>>(json) {
        Ok(rows) if !rows.is_empty() => {
            let row = |(i, tokens)| Row { name: format!("row {i}"), tokens };
            return Ok(rows.into_iter().enumerate().map(row).collect());
        }
        Err(error) if json.len() > MOST_TO_EXPLAIN => return Err(not_tokens(error.to_string())),
        _ => {}
    }
    let parsed: Value = serde_json::from_slice(json).map_err(|error| not_tokens(error.to_string()))?;
    let list = parsed.as_array().ok_or_else(|| not_tokens("it is no JSON array".into()))?;
    if list.is_empty() {
        return Err(InputError::Empty { name: name.into() });
    }
    let row = |name: String, ids: &[Value]| {
        let id = |(index, value): (usize, &Value)| {
            let id = value.as_u64().and_then(|id| TokenId::try_from(id).ok());
            id.ok_or_else(|| {
                not_tokens(format!("{} at index {index} of {name} is no token id", shown::value(&value.to_string())))
            })
        };
        let tokens = ids.iter().enumerate().map(id).collect::<Result<_, _>>()?;
        Ok(Row { name, tokens })
    };
    if !list.iter().any(Value::is_array) {
        return Ok(vec![row("row 0".into(), list)?]);
    }
    let rows = list.iter().enumerate().map(|(i, value)| match value {
        Value::Array(ids) => row(format!("row {i}"), ids),
        other => {
            let other = other.to_string();
            Err(not_tokens(format!("{} at index {i} stands between rows", shown::value(&other))))
        }
    });
    rows.collect()
}

/// Checks that the ids of a row are below `n_vocab`; `tokenizer` tells what they stand for.
///
/// # Errors
/// The first id that is not.
pub fn check_ids(row: &str, tokens: &[TokenId], tokenizer: Option<&Tokenizer>, n_vocab: u32) -> Result<(), InputError> {
    let Some((index, &id)) = tokens.iter().enumerate().find(|&(_, &id)| id >= n_vocab) else { return Ok(()) };
    let text = tokenizer.and_then(|tokenizer| tokenizer.token_text(id).ok());
    Err(InputError::TokenOutOfRange { id: id.into(), text, row: row.to_owned(), index, n_vocab })
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn name_of(path: &Path) -> String {
    if is_stdin(path) { "standard input".into() } else { path.display().to_string() }
}

/// The text of a file, or of standard input for `-`: at most `most` bytes. Nothing of it is left out, a byte order mark
/// included: every byte counts in a loss.
///
/// # Errors
/// It cannot be read, is longer, is something else than text, or is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String, InputError> {
    read_utf8(path, Wanted::Text, most)
}

/// The next line of standard input, without its end: at most `most` bytes. `None` after the last.
///
/// # Errors
/// It cannot be read, is longer, or is not UTF-8.
pub fn read_line(most: u64) -> Result<Option<String>, InputError> {
    let fault = |why: String| InputError::StandardInput(why);
    let mut line = Vec::new();
    let mut input = io::stdin().lock().take(most.saturating_add(1));
    input.read_until(b'\n', &mut line).map_err(|error| fault(error.to_string()))?;
    if line.len() as u64 > most {
        return Err(InputError::TooLong { name: "a line of standard input".into(), most });
    }
    if line.is_empty() {
        return Ok(None);
    }
    let text = read::utf8(line).map_err(|error| fault(error.to_string()))?;
    Ok(Some(text.trim_end_matches('\n').trim_end_matches('\r').to_owned()))
}

/// The text of a file that is to be a text or ids.
fn read_utf8(path: &Path, wanted: Wanted, most: u64) -> Result<String, InputError> {
    let too_long = || InputError::TooLong { name: name_of(path), most };
    if is_stdin(path) {
        let fault = |why: String| InputError::StandardInput(why);
        let bytes = read::limited(io::stdin().lock(), most).map_err(|error| fault(error.to_string()))?;
        return read::utf8(bytes.ok_or_else(too_long)?).map_err(|error| fault(error.to_string()));
    }
    let bytes = read::bytes(path, most).map_err(|error| match error.fault {
        Fault::TooLarge { .. } => too_long(),
        Fault::Folder | Fault::Special(_) => wanted.check(path).err().unwrap_or(error).into(),
        _ => error.into(),
    })?;
    if wanted == Wanted::Text {
        wanted.check_kind(path, Kind::of_bytes(&bytes[..bytes.len().min(HEAD)], path))?;
    }
    read::utf8(bytes).map_err(|fault| wanted.explain(path, FileError::new(path, fault).into()))
}

/// Bytes of a text that tell whether it is one.
const HEAD: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tokenizer::SectionParts;

    fn rows(json: &str) -> Result<Vec<Vec<TokenId>>, String> {
        let rows = parse_rows("f", json.as_bytes()).map_err(|error| error.to_string())?;
        Ok(rows.into_iter().map(|row| row.tokens).collect())
    }

    fn tokenizer() -> Tokenizer {
        Tokenizer::from_parts(SectionParts::Chars(vec!['a', 'é', '日', '\n']), "test").unwrap()
    }

    #[test]
    fn an_array_is_one_row_and_arrays_are_rows() {
        assert_eq!(rows("[1, 2, 3]"), Ok(vec![vec![1, 2, 3]]));
        assert_eq!(rows("[[1], [2, 4294967295]]"), Ok(vec![vec![1], vec![2, 4_294_967_295]]));
    }

    #[test]
    fn what_is_no_id_is_named_with_its_place() {
        for (json, message) in [
            ("[1, -2]", "f holds no token ids: -2 at index 1 of row 0 is no token id"),
            ("[[1], [2, 1.5]]", "f holds no token ids: 1.5 at index 1 of row 1 is no token id"),
            ("[4294967296]", "f holds no token ids: 4294967296 at index 0 of row 0 is no token id"),
            ("[[1], 2]", "f holds no token ids: 2 at index 1 stands between rows"),
            ("{}", "f holds no token ids: it is no JSON array"),
            ("[]", "f is empty"),
        ] {
            assert_eq!(rows(json), Err(message.into()));
        }
        assert!(rows("[1, 2").is_err_and(|why| why.starts_with("f holds no token ids: EOF")));
    }

    #[test]
    fn ids_must_be_of_the_model() {
        let input = |n_vocab| Source::Prompt("aé日".into()).read(Some(&tokenizer()), n_vocab, 100);
        assert_eq!(input(3).unwrap().rows()[0].tokens, [0, 1, 2]);
        let message = input(2).unwrap_err().to_string();
        assert_eq!(message, "token 2 (\"日\") at index 2 of the prompt is out of range: n_vocab is 2");
        let empty = Source::Prompt(String::new()).read(Some(&tokenizer()), 3, 100).unwrap_err();
        assert_eq!(empty.to_string(), "the prompt is empty");
    }

    #[test]
    fn a_row_of_one_window_needs_no_convention() {
        let input = Source::Prompt("aaaaa".into()).read(Some(&tokenizer()), 4, 100).unwrap();
        assert_eq!(input.check_one_window(4), Ok(()));
        let message = input.check_one_window(3).unwrap_err().to_string();
        assert_eq!(
            message,
            "the prompt has 5 tokens, more than the 4 of one window of n_ctx 3: name the windows with --convention"
        );
    }
}
