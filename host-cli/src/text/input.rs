//! What is scored: rows of token ids, from text files, from a file of ids, or from a prompt.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use emberlm_core::config::TokenId;

pub use super::error::InputError;
use super::ids;
use super::tokenizer::{Tokenizer, TokenizerError};
use crate::ground::files::read::{self, BYTE_ORDER_MARK};
use crate::ground::files::{Fault, FileError, Kind, Wanted};

/// Where the rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Text files, each a text of its own.
    Text(Vec<PathBuf>),
    /// Text files that are one text together, byte after byte.
    Joined(Vec<PathBuf>),
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
    /// Which of the texts that were given it is of, from 0; rows of ids are all of one.
    pub text: usize,
    /// The ids.
    pub tokens: Vec<TokenId>,
}

/// The rows to score, each id below `n_vocab`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    rows: Vec<Row>,
    /// The files of each text that was given.
    files: Vec<Vec<String>>,
    /// Tokens of rows or parts of rows that are not to be scored.
    n_left_out: usize,
    /// What of the files may surprise, to be shown.
    notes: Vec<String>,
}

impl Row {
    fn new(text: usize, name: &str, tokens: Vec<TokenId>) -> Self {
        Self { name: name.into(), text, tokens }
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
        let names = |paths: &[PathBuf]| paths.iter().map(|path| name_of(path)).collect::<Vec<_>>();
        let encode = |name: &str, text: &str| match tokenizer {
            Some(tokenizer) => encode(tokenizer, name, text),
            None => Err(InputError::NoTokenizer),
        };
        let rows: Vec<Row> = match self {
            Self::Prompt(text) => vec![Row::new(0, "the prompt", encode("the prompt", text)?)],
            Self::Text(paths) => {
                let row = |(i, path): (usize, &PathBuf)| {
                    let (name, text) = (name_of(path), read_noting(path, most, &mut notes)?);
                    Ok(Row::new(i, &name, encode(&name, &text)?))
                };
                paths.iter().enumerate().map(row).collect::<Result<_, InputError>>()?
            }
            Self::Joined(paths) => {
                let read = |path: &PathBuf| read_noting(path, most, &mut notes);
                let texts = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                let name = match &names(paths)[..] {
                    [first, others @ ..] if others.len() > 2 => format!("{first} and {} more files", others.len()),
                    names => names.join(" and "),
                };
                let tokens = encode(&name, &texts.concat()).map_err(|error| {
                    // What is wrong is told by its place in the file that it is in.
                    let alone = paths.iter().zip(&texts).find_map(|(path, text)| encode(&name_of(path), text).err());
                    alone.unwrap_or(error)
                })?;
                vec![Row::new(0, &name, tokens)]
            }
            Self::Tokens(path) => {
                let row = |(i, tokens)| Row::new(0, &format!("row {i}"), tokens);
                read_ids(path, most)?.into_iter().enumerate().map(row).collect()
            }
        };
        let files = match self {
            Self::Prompt(_) => vec![Vec::new()],
            Self::Text(paths) => names(paths).into_iter().map(|name| vec![name]).collect(),
            Self::Joined(paths) => vec![names(paths)],
            Self::Tokens(path) => vec![vec![name_of(path)]],
        };
        for Row { name, tokens, .. } in &rows {
            if tokens.is_empty() {
                return Err(InputError::Empty { name: name.clone() });
            }
            check_ids(name, tokens, tokenizer.filter(|_| self.is_text()), n_vocab)?;
        }
        Ok(Input { rows, files, n_left_out: 0, notes })
    }
}

impl Input {
    /// The rows, in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The files of each text that was given, by name: several that were joined, or none of a prompt.
    pub fn files(&self) -> &[Vec<String>] {
        &self.files
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
        let pieces = self.rows.iter().flat_map(|Row { name, text, tokens }| {
            let is_one = tokens.len() <= n_ctx;
            tokens.chunks(n_ctx).enumerate().map(move |(i, tokens)| Row {
                name: if is_one { name.clone() } else { format!("{name}, window {i}") },
                text: *text,
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
            Some(Row { name, tokens, .. }) => {
                Err(InputError::RowTooLong { row: name.clone(), len: tokens.len(), n_ctx })
            }
            None => Ok(()),
        }
    }
}

fn encode(tokenizer: &Tokenizer, name: &str, text: &str) -> Result<Vec<TokenId>, InputError> {
    tokenizer.encode(text).map_err(|error| match error {
        TokenizerError::Unrepresentable { position, .. }
            if position.offset == 0 && text.starts_with(BYTE_ORDER_MARK) =>
        {
            InputError::Mark { name: name.into() }
        }
        error => error.in_text(name).into(),
    })
}

/// The text of a file, with a note where it begins with a byte order mark.
fn read_noting(path: &Path, most: u64, notes: &mut Vec<String>) -> Result<String, InputError> {
    let text = read_text(path, most)?;
    if text.starts_with(BYTE_ORDER_MARK) {
        notes.push(format!("{} begins with a byte order mark, U+FEFF, which is read as text", name_of(path)));
    }
    Ok(text)
}

/// The rows of a file of ids, or of standard input for `-`.
fn read_ids(path: &Path, most: u64) -> Result<Vec<Vec<TokenId>>, InputError> {
    let (name, text) = (name_of(path), read_utf8(path, Wanted::Tokens, most)?);
    let json = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let parsed = match ids::parse(json.as_bytes()) {
        Ok(rows) if rows.is_empty() => Err(InputError::Empty { name }),
        Err(why) => Err(InputError::NotTokens { name, why }),
        Ok(rows) => Ok(rows),
    };
    parsed.map_err(|error| if is_stdin(path) { error } else { Wanted::Tokens.explain(path, error) })
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

    fn tokenizer() -> Tokenizer {
        Tokenizer::from_parts(SectionParts::Chars(vec!['a', 'é', '日', '\n']), "test").unwrap()
    }

    /// Files of these texts in a folder, and their paths.
    fn files(texts: &[&str]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let path = |(i, text): (usize, &&str)| {
            let path = folder.path().join(format!("{i}.txt"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let paths = texts.iter().enumerate().map(path).collect();
        (folder, paths)
    }

    #[test]
    fn files_are_texts_of_their_own_or_one_together() {
        let (_folder, paths) = files(&["aé", "日a"]);
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let read = |source: Source| source.read(Some(&tokenizer()), 4, 100).unwrap();
        let rows = |input: &Input| input.rows().iter().map(|row| (row.text, row.tokens.clone())).collect::<Vec<_>>();
        let apart = read(Source::Text(paths.clone()));
        assert_eq!(rows(&apart), [(0, vec![0, 1]), (1, vec![2, 0])]);
        assert_eq!(apart.files(), names.iter().map(|name| vec![name.clone()]).collect::<Vec<_>>());
        let joined = read(Source::Joined(paths));
        assert_eq!(rows(&joined), [(0, vec![0, 1, 2, 0])]);
        assert_eq!(joined.files(), [names]);
    }

    #[test]
    fn what_is_wrong_with_joined_files_is_told_by_the_file_that_it_is_in() {
        let (_folder, paths) = files(&["aé\na", "a\néx"]);
        let second = paths[1].display().to_string();
        let message = Source::Joined(paths).read(Some(&tokenizer()), 4, 100).unwrap_err().to_string();
        assert!(message.contains(&second) && message.contains("line 2, column 2 (byte 4)"), "{message}");
        let (_folder, paths) = files(&["", ""]);
        assert!(matches!(Source::Joined(paths).read(Some(&tokenizer()), 4, 100), Err(InputError::Empty { .. })));
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
