//! The tokens that end a text, as the files of a checkpoint's folder say.

use std::path::Path;

use emberlm_core::config::TokenId;
use serde_json::{Map, Value};

use super::error::CheckpointError;
use crate::ground::files::read::{self, MOST_OF_CONFIG};
use crate::ground::shown;

/// The files that may say it, the first that does wins.
const GENERATION_CONFIG: &str = "generation_config.json";
const CONFIG: &str = "config.json";

const KEY: &str = "eos_token_id";

/// The tokens that end a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndTokens {
    /// Their ids, each below `n_vocab`.
    pub ids: Vec<TokenId>,
    /// What is said of the others.
    pub notes: Vec<String>,
}

impl EndTokens {
    /// Reads `eos_token_id`, one id or a list, for a model of `n_vocab` tokens: from `generation_config.json` in `folder`,
    /// else from `config`, by default the `config.json` in `folder`. None where neither says one.
    ///
    /// # Errors
    /// A file cannot be read, or the value is neither.
    pub fn read(folder: &Path, config: Option<&Path>, n_vocab: u32) -> Result<Self, CheckpointError> {
        let beside = |name| Some(folder.join(name)).filter(|path| read::is_there(path));
        for path in [beside(GENERATION_CONFIG), config.map(Path::to_owned).or_else(|| beside(CONFIG))] {
            let Some(path) = path else { continue };
            let wrong = |why: String| CheckpointError::ConfigFile { path: path.clone(), why };
            let file: Map<String, Value> = read::json(&path, MOST_OF_CONFIG)?;
            let values = match file.get(KEY) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(values)) => values.iter().collect(),
                Some(value) => vec![value],
            };
            let mut ends = Self::default();
            for value in values {
                let id = value
                    .as_i64()
                    .ok_or_else(|| wrong(format!("`{KEY}`: {} is no token id", shown::value(&value.to_string()))))?;
                match TokenId::try_from(id) {
                    Ok(id) if id < n_vocab => ends.ids.push(id),
                    _ => ends.notes.push(format!(
                        "{}: {KEY} {id} ends no text: n_vocab is {n_vocab}",
                        shown::path(Path::new(path.file_name().unwrap_or_default()))
                    )),
                }
            }
            return Ok(ends);
        }
        Ok(Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<EndTokens, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let config = folder.path().join("other.json");
        EndTokens::read(folder.path(), Some(config.as_path()).filter(|path| path.exists()), 10)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_file_that_says_it_wins() {
        let ids = |files: &[(&str, &str)]| read(files).unwrap().ids;
        assert_eq!(read(&[]), Ok(EndTokens::default()));
        assert_eq!(ids(&[("config.json", r#"{"eos_token_id": 3}"#)]), [3]);
        assert_eq!(ids(&[("config.json", r#"{"eos_token_id": 3}"#), ("other.json", r#"{"eos_token_id": 4}"#)]), [4]);
        let config = ("config.json", r#"{"eos_token_id": [3, 0]}"#);
        assert_eq!(ids(&[config, ("generation_config.json", r#"{"eos_token_id": [5, 6]}"#)]), [5, 6]);
        for silent in ["{}", r#"{"eos_token_id": null}"#] {
            assert_eq!(ids(&[config, ("generation_config.json", silent)]), [3, 0]);
        }
    }

    #[test]
    fn ids_that_the_model_lacks_are_named() {
        let ends = read(&[("config.json", r#"{"eos_token_id": [50256, -1, 9]}"#)]).unwrap();
        assert_eq!(ends.ids, [9]);
        assert_eq!(ends.notes[0], "config.json: eos_token_id 50256 ends no text: n_vocab is 10");
        assert!(ends.notes[1].contains("eos_token_id -1"));
        for value in ["\"</s>\"", "1.5", "true", "[[1]]", "{}"] {
            let why = read(&[("config.json", &format!("{{\"eos_token_id\": {value}}}"))]).unwrap_err();
            assert!(why.contains("`eos_token_id`") && why.contains("is no token id"), "{why}");
        }
    }
}
