//! A fixture's checkpoint in a folder of its own, for tests to alter.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::fixtures;

/// `model.safetensors` and `config.json` of a fixture, and whatever a test adds.
pub struct Altered(TempDir);

impl Altered {
    /// A copy of the fixture `name`.
    pub fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for file in ["model.safetensors", "config.json"] {
            fs::copy(fixtures::path(name).join(file), folder.path().join(file)).expect("a fixture's file");
        }
        Self(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The folder, as an argument.
    pub fn arg(&self) -> &str {
        self.path().to_str().expect("a temporary folder's name is UTF-8")
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, contents).expect("a folder that can be written to");
        path
    }

    /// Changes `config.json`.
    pub fn config(&self, change: impl FnOnce(&mut Map<String, Value>)) {
        let text = fs::read_to_string(self.path().join("config.json")).expect("config.json");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        change(config.as_object_mut().expect("an object"));
        self.write("config.json", config.to_string());
    }

    /// Changes the header of `model.safetensors`; the data stays.
    pub fn header(&self, change: impl FnOnce(&mut Map<String, Value>)) {
        let file = fs::read(self.path().join("model.safetensors")).expect("model.safetensors");
        let (len, rest) = file.split_at(8);
        let (header, data) = rest.split_at(u64::from_le_bytes(len.try_into().expect("8 bytes")) as usize);
        let mut header: Value = serde_json::from_slice(header).expect("JSON");
        change(header.as_object_mut().expect("an object"));
        let header = header.to_string();
        let len = (header.len() as u64).to_le_bytes();
        self.write("model.safetensors", [&len, header.as_bytes(), data].concat());
    }

    /// Gives every tensor the name that `rename` makes of its own.
    pub fn rename(&self, rename: impl Fn(&str) -> String) {
        self.header(|header| {
            let renamed = std::mem::take(header).into_iter().map(|(name, tensor)| match name.as_str() {
                "__metadata__" => (name, tensor),
                name => (rename(name), tensor),
            });
            *header = renamed.collect();
        });
    }

    /// Adds a tensor without elements.
    pub fn add_empty(&self, name: &str) {
        self.header(|header| {
            let ends = header.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
            let end = ends.max().expect("tensors");
            header.insert(name.into(), json!({"dtype": "F32", "shape": [0], "data_offsets": [end, end]}));
        });
    }
}
