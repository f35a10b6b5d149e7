//! Which tokenizer serves a model.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::ground::files::Wanted;
use crate::ground::files::read::{self, MOST_OF_TOKENIZER};

use super::document::Document;
use super::{GPT2_N_VOCAB, SectionParts, Tokenizer, TokenizerError, companions};
use crate::ground::shown;

/// What is known when a tokenizer is looked for.
#[derive(Clone, Debug, Default)]
pub struct Search<'a> {
    /// What the user named: `gpt2`, a file, or a folder.
    pub named: Option<&'a str>,
    /// The checkpoint; a tokenizer's files may lie in it, or beside it where it is a file.
    pub checkpoint: Option<&'a Path>,
    /// The tokeniser section of the blob.
    pub section: Option<SectionParts>,
    /// The model's vocabulary.
    pub n_vocab: Option<u32>,
}

/// A tokenizer, and what is to be said of it.
pub struct Found {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// Nothing named it: the model's vocabulary has GPT-2's size.
    pub assumed: bool,
    /// What its files say and is not done, a line each.
    pub notes: Vec<String>,
    /// The folder of its files.
    pub folder: Option<PathBuf>,
}

impl Found {
    fn built_in(tokenizer: Tokenizer, assumed: bool) -> Self {
        Self { tokenizer, assumed, notes: Vec::new(), folder: None }
    }
}

impl Search<'_> {
    /// Takes the tokenizer that the user named, else the one beside the checkpoint, else the blob's, else GPT-2's where
    /// the vocabulary has its size.
    ///
    /// # Errors
    /// The first of these that exists is broken, or none exists.
    pub fn find(self) -> Result<Found, TokenizerError> {
        match self.named {
            Some("gpt2") => return Ok(Found::built_in(Tokenizer::gpt2()?, false)),
            Some(path) => return from_path(Path::new(path)),
            None => {}
        }
        let folder = self.checkpoint.map(|path| if path.is_dir() { path } else { parent(path) });
        if let Some(files) = folder.and_then(files_in) {
            return files.read();
        }
        if let Some(parts) = self.section {
            let tokenizer = Tokenizer::from_parts(parts, "the blob's tokeniser section")?;
            return Ok(Found::built_in(tokenizer, false));
        }
        if self.n_vocab == Some(GPT2_N_VOCAB) {
            return Ok(Found::built_in(Tokenizer::gpt2()?, true));
        }
        let mut reasons = vec!["--tokenizer is not given".to_owned()];
        match folder {
            Some(folder) => reasons.push(format!("{} holds no {NAMES}", shown::path(folder))),
            None => reasons.push("the blob has no tokeniser section".into()),
        }
        reasons.extend(self.n_vocab.map(|n| format!("n_vocab is {n}, where GPT-2 has {GPT2_N_VOCAB}")));
        Err(TokenizerError::Missing(reasons.join("; ")))
    }
}

const TOKENIZER_JSON: &str = "tokenizer.json";

const NAMES: &str = "tokenizer.json, vocab.json with merges.txt, chars.json or tokenizer.bin";

/// How the names of llama2.c's files begin and end: `tokenizer.bin`, `tok512.bin`.
const TOKENIZER_BIN: [&str; 2] = ["tok", ".bin"];

/// A tokenizer's files.
enum Files {
    TokenizerJson(PathBuf),
    VocabAndMerges(PathBuf, PathBuf),
    CharsJson(PathBuf),
    TokenizerBin(PathBuf),
}

impl Files {
    fn read(&self) -> Result<Found, TokenizerError> {
        let path = match self {
            Self::TokenizerJson(path)
            | Self::VocabAndMerges(path, _)
            | Self::CharsJson(path)
            | Self::TokenizerBin(path) => path,
        };
        let origin = shown::path(path).to_string();
        let broken = |why: String| TokenizerError::Broken { origin: origin.clone(), why };
        let folder = parent(path);
        let (tokenizer, notes) = match self {
            Self::TokenizerJson(path) => {
                let mut document = Document::of_json(&read(path)?).map_err(broken)?;
                // A file with a name of its own belongs to no folder.
                let is_standard = path.file_name().is_some_and(|name| name == TOKENIZER_JSON);
                let notes = if is_standard { companions::apply(&mut document, folder, false)? } else { Vec::new() };
                (Tokenizer::from_document(&document, origin)?, notes)
            }
            Self::VocabAndMerges(vocab, merges) => {
                let merges = read::text(merges, MOST_OF_TOKENIZER)?;
                let mut document = Document::of_vocab_and_merges(&read(vocab)?, &merges).map_err(broken)?;
                let notes = companions::apply(&mut document, folder, true)?;
                (Tokenizer::from_document(&document, origin)?, notes)
            }
            Self::CharsJson(path) => {
                let unread = companions::names_in(folder).into_iter();
                let note = |name| format!("{name} is not read: chars.json alone is the vocabulary");
                (Tokenizer::from_chars_json(&read(path)?, origin)?, unread.map(note).collect())
            }
            Self::TokenizerBin(path) => {
                let file = read::bytes(path, MOST_OF_TOKENIZER)?;
                let tokenizer = Tokenizer::from_tokenizer_bin(&file, origin);
                (tokenizer.map_err(|error| Wanted::Tokenizer.explain(path, error))?, Vec::new())
            }
        };
        Ok(Found { tokenizer, assumed: false, notes, folder: Some(folder.to_owned()) })
    }
}

/// The tokenizer's files in `folder`.
fn files_in(folder: &Path) -> Option<Files> {
    let file = |name: &str| Some(folder.join(name)).filter(|path| read::is_there(path));
    if let Some(path) = file(TOKENIZER_JSON) {
        return Some(Files::TokenizerJson(path));
    }
    if let (Some(vocab), Some(merges)) = (file("vocab.json"), file("merges.txt")) {
        return Some(Files::VocabAndMerges(vocab, merges));
    }
    file("chars.json").map(Files::CharsJson).or_else(|| Some(Files::TokenizerBin(tokenizer_bin(folder)?)))
}

/// The only file in `folder` with a name as llama2.c's tokenizers have.
fn tokenizer_bin(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let [begin, end] = TOKENIZER_BIN;
    let mut named = files.filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(begin) && name.ends_with(end) && read::is_there(path)
    });
    named.next().filter(|_| named.next().is_none())
}

/// The tokenizer that a path from the user names: a folder with files, or one of them, told by what it holds.
fn from_path(path: &Path) -> Result<Found, TokenizerError> {
    if path.is_dir() {
        let missing = || TokenizerError::Missing(format!("{} holds no {NAMES}", shown::path(path)));
        return files_in(path).ok_or_else(missing)?.read();
    }
    let beside = |name| parent(path).join(name);
    if path.extension().is_some_and(|extension| extension == "txt") {
        return Files::VocabAndMerges(beside("vocab.json"), path.into()).read();
    }
    if path.extension().is_some_and(|extension| extension == "bin") {
        return Files::TokenizerBin(path.into()).read();
    }
    let broken = |why: String| TokenizerError::Broken { origin: shown::path(path).to_string(), why };
    let json = serde_json::from_slice(&read(path)?)
        .map_err(|error| Wanted::Tokenizer.explain(path, broken(error.to_string())))?;
    match json {
        Value::Array(_) => Files::CharsJson(path.into()).read(),
        Value::Object(map) if map.contains_key("model") => Files::TokenizerJson(path.into()).read(),
        Value::Object(_) => Files::VocabAndMerges(path.into(), beside("merges.txt")).read(),
        _ => Err(broken("it holds neither a list of characters, nor a vocabulary, nor a tokenizer".into())),
    }
}

/// The folder of a file.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    let text = read::text(path, MOST_OF_TOKENIZER).map_err(|error| Wanted::Tokenizer.explain(path, error))?;
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::tokenizer_bin;
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    const VOCAB: &str = r#"{"a": 0, "b": 1, "ab": 2}"#;

    #[test]
    fn the_order_is_named_then_beside_then_section_then_gpt2() {
        let folder = folder(&[("chars.json", r#"["a", "b"]"#), ("model.safetensors", "")]);
        let file = folder.path().join("model.safetensors");
        let mut search = Search { checkpoint: Some(&file), n_vocab: Some(50_257), ..Search::default() };
        search.section = Some(SectionParts::Chars(vec!['b', 'a']));
        let ids = |search: &Search, text| search.clone().find().unwrap().tokenizer.encode(text).unwrap();
        assert_eq!(ids(&search, "ab"), [0, 1]);
        search.named = Some("gpt2");
        assert_eq!(ids(&search, "ab"), [397]);
        (search.named, search.checkpoint) = (None, None);
        assert_eq!(ids(&search, "ab"), [1, 0]);
        search.section = None;
        assert_eq!(ids(&search, "ab"), [397]);
        assert!(search.clone().find().unwrap().assumed);
        search.n_vocab = Some(50_256);
        let Err(error) = search.find() else { panic!("found a tokenizer") };
        assert_eq!(
            error.to_string(),
            "no tokenizer: --tokenizer is not given; the blob has no tokeniser section; \
             n_vocab is 50256, where GPT-2 has 50257"
        );
    }

    #[test]
    fn a_file_is_told_by_what_it_holds() {
        let json = r#"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
                       "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}}"#;
        let files =
            folder(&[("vocab.json", VOCAB), ("merges.txt", "a b"), ("t.json", json), ("c.json", r#"["b", "a"]"#)]);
        for (name, ids) in [("vocab.json", [2].as_slice()), ("merges.txt", &[2]), ("t.json", &[2]), ("c.json", &[1, 0])]
        {
            let tokenizer = from_path(&files.path().join(name)).unwrap().tokenizer;
            assert_eq!(tokenizer.encode("ab").unwrap(), ids, "{name}");
        }
        assert_eq!(from_path(files.path()).unwrap().tokenizer.encode("ab").unwrap(), [2]);
    }

    #[test]
    fn llama2c_files_are_found_by_their_name_where_there_is_one() {
        let folder = folder(&[]);
        let file = tokenizer_bin::tests::file(&[" ab"]);
        std::fs::write(folder.path().join("tok512.bin"), &file).unwrap();
        std::fs::write(folder.path().join("model.bin"), "not looked at").unwrap();
        let encode = |path: &Path| from_path(path).map(|found| found.tokenizer.encode("x").unwrap()).ok();
        assert_eq!(encode(folder.path()), Some(vec![3 + 0x20, 3 + 0x78]));
        assert_eq!(encode(&folder.path().join("tok512.bin")), encode(folder.path()));
        let Err(error) = from_path(&folder.path().join("model.bin")) else { panic!("found a tokenizer") };
        assert!(error.to_string().contains("model.bin"), "{error}");
        std::fs::write(folder.path().join("tokenizer.bin"), &file).unwrap();
        assert!(encode(folder.path()).is_none(), "which of two is not known");
    }
}
