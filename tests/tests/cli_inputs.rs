//! What the verbs make of the files that they are given: pipes, endless input, marks that editors leave, keys that stand twice,
//! and shards that lie elsewhere.

#![cfg(unix)]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command as System, Stdio};
use std::time::Duration;

use common::{command, run};
use emberlm_tests::fixtures;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Far beyond what any run takes on a busy machine, and short of what hangs.
const PATIENT: Duration = Duration::from_secs(120);

const MARK: &str = "\u{feff}";

/// Of the small checkpoint.
const N_VOCAB: usize = 61;

/// A folder with a copy of a small checkpoint of characters in `model`, and a blob of it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.copy_model("model");
        let [model, blob] = ["model", "blob"].map(|name| folder.path(name));
        run("convert", 0, &["convert", &model, "-o", &blob, "--calibrate", "none"]);
        folder
    }

    fn copy_model(&self, name: &str) {
        fs::create_dir(self.0.path().join(name)).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(fixtures::path("hf-tied").join(file), self.0.path().join(name).join(file)).unwrap();
        }
        let chars: Vec<char> = ('a'..).take(N_VOCAB).collect();
        self.write(&format!("{name}/chars.json"), json!(chars).to_string());
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        fs::write(self.0.path().join(name), contents).unwrap();
        self.path(name)
    }

    fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        self.write(name, change(fs::read_to_string(self.path(name)).unwrap()));
    }

    fn fifo(&self, name: &str) -> String {
        let _ = fs::remove_file(self.path(name));
        assert!(System::new("mkfifo").arg(self.path(name)).status().unwrap().success());
        self.path(name)
    }

    fn eval(&self) -> Value {
        run("eval", 0, &["eval", &self.path("model"), "--prompt", "abcabc"])
    }
}

/// The message of a command that is refused.
fn refused(args: &[&str]) -> String {
    let output = command().args(args).arg("--json").timeout(PATIENT).output().unwrap();
    let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {value} {}", String::from_utf8_lossy(&output.stderr));
    value["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_pipe_is_refused_at_once_wherever_a_file_is_named() {
    let folder = Folder::new();
    let (fifo, out) = (folder.fifo("fifo"), folder.path("out"));
    symlink("fifo", folder.0.path().join("link")).unwrap();
    let [model, blob, link] = ["model", "blob", "link"].map(|name| folder.path(name));
    for args in [
        ["eval", &fifo, "--prompt", "abc"].as_slice(),
        &["merge", &fifo],
        &["eval", &link, "--prompt", "abc"],
        &["eval", &model, "--prompt", "abc", "--tokenizer", &fifo],
        &["eval", &model, "--prompt", "abc", "--config", &fifo],
        &["eval", &model, "--prompt", "abc", "--layout", &fifo],
        &["convert", &fifo, "-o", &out],
        &["convert", &model, "-o", &out, "--calibrate", &fifo],
        &["verify", &model, &fifo, "--prompt", "abc"],
        &["compare", &fifo, "--prompt", "abc"],
        &["surprisal", &fifo, "--prompt", "abc"],
        &["generate", &fifo, "--prompt", "abc"],
        &["inspect", &fifo],
        &["plan", &fifo, "--board", "rp2040"],
        &["init", "--config", &fifo],
        &["tokenize", "abc", "--tokenizer", &fifo],
        &["device", "score", &fifo, "--board", "mps2-an386", "--prompt", "abc"],
        &["device", "score", &blob, "--board", "mps2-an386", "--prompt", "abc", "--firmware", &fifo],
        &["device", "score", &blob, "--board", "mps2-an386", "--prompt", "abc", "--firmware", &link],
    ] {
        let message = refused(args);
        assert!(message.contains("it is a pipe, and only regular files are read"), "{args:?}: {message}");
    }
    for args in [["eval", &model, "--text", &fifo], ["eval", &model, "--tokens", &link]] {
        assert!(refused(&args).contains("`-` reads standard input"), "{args:?}");
    }
}

#[test]
fn a_pipe_in_a_checkpoints_folder_is_refused_and_not_overlooked() {
    for name in ["model.safetensors", "config.json", "chars.json"] {
        let folder = Folder::new();
        folder.fifo(&format!("model/{name}"));
        let message = refused(&["eval", &folder.path("model"), "--prompt", "abc"]);
        assert!(message.contains(name) && message.contains("it is a pipe"), "{message}");
        fs::remove_file(folder.path(&format!("model/{name}"))).unwrap();
        symlink("gone", folder.path(&format!("model/{name}"))).unwrap();
        let message = refused(&["eval", &folder.path("model"), "--prompt", "abc"]);
        assert!(message.contains(name) && message.contains("it is a link to gone, which does not exist"), "{message}");
    }
}

#[test]
fn standard_input_may_be_a_pipe_and_ends_at_a_limit() {
    let folder = Folder::new();
    let model = folder.path("model");
    let expected = folder.eval();
    let eval = |args: &[&str], input: &[u8]| {
        let output = command().args(["eval", &model, "--json"]).args(args).write_stdin(input).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(eval(&["--text", "-"], b"abcabc")["loss"], expected["loss"]);
    assert_eq!(eval(&["--tokens", "-"], b"[0, 1, 2, 0, 1, 2]")["loss"], expected["loss"]);
    assert_eq!(eval(&["--text", "-", "--max-input", "6"], b"abcabc")["loss"], expected["loss"]);
    let message = "standard input has more than 5 bytes, the most that are read of it: --max-input raises that";
    let error = json!({"kind": "too_large", "message": message});
    assert_eq!(eval(&["--text", "-", "--max-input", "5"], b"abcabc")["error"], error);
    for args in [["--text", "-"], ["--tokens", "-"]] {
        let endless = Stdio::from(File::open("/dev/zero").unwrap());
        let program = env!("CARGO_BIN_EXE_emberlm-under-test");
        let args = [["eval", &model, "--max-input", "64M"].as_slice(), &args].concat();
        let output = System::new(program).args(args).stdin(endless).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("standard input has more than 67108864 bytes"), "{error}");
    }
    let dialogue = ["generate", &folder.path("blob"), "--interactive", "--max-input", "5", "--max-tokens", "1"];
    let output = command().args(dialogue).write_stdin("abcd\nabcdef\n").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), false), "{error}");
    assert!(error.contains("a line of standard input has more than 5 bytes"), "{error}");
    let book = folder.write("book.txt", "abcabc");
    let message = refused(&["eval", &model, "--text", &book, "--max-input", "5"]);
    assert!(message.ends_with("book.txt has more than 5 bytes, the most that are read of it: --max-input raises that"));
}

#[test]
fn a_byte_order_mark_changes_nothing_but_a_text() {
    let folder = Folder::new();
    let expected = folder.eval();
    for name in ["config.json", "chars.json"] {
        folder.edit(&format!("model/{name}"), |text| format!("{MARK}{text}"));
    }
    assert_eq!(folder.eval(), expected);
    let [model, tokens] = [folder.path("model"), folder.write("tokens.json", format!("{MARK}[0, 1, 2, 0, 1, 2]"))];
    assert_eq!(run("eval", 0, &["eval", &model, "--tokens", &tokens])["loss"], expected["loss"]);
    let index = json!({"weight_map": weight_map(&folder, "model/model.safetensors", "shard.safetensors")});
    fs::rename(folder.path("model/model.safetensors"), folder.path("model/shard.safetensors")).unwrap();
    folder.write("model/model.safetensors.index.json", format!("{MARK}{index}"));
    assert_eq!(folder.eval(), expected);
    // It is part of a text: the bytes that are scored are those of the file.
    let text = folder.write("text.txt", format!("{MARK}abc"));
    let message = refused(&["eval", &model, "--text", &text]);
    let expected =
        "text.txt begins with a byte order mark, U+FEFF, for which the tokenizer has no token: save it without";
    assert!(message.ends_with(expected), "{message}");
    folder.edit("model/chars.json", |text| text.replacen("\"d\"", "\"\\ufeff\"", 1));
    let output = command().args(["eval", &model, "--text", &text, "--json"]).output().unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("text.txt begins with a byte order mark, U+FEFF, which is read as text"), "{notes}");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["tokens_scored"], json!(3));
}

#[test]
fn files_of_windows_editors_are_read_or_named() {
    let folder = Folder::new();
    let (vocab, merges) = (r#"{"a": 0, "b": 1, "ab": 2}"#, "#version: 0.2\na b\n");
    fs::create_dir(folder.path("bpe")).unwrap();
    let ids = || run("tokenize", 0, &["tokenize", "abba", "--tokenizer", &folder.path("bpe")])["ids"].clone();
    for (mark, end) in [("", "\n"), ("", "\r\n"), (MARK, "\n"), (MARK, "\r\n")] {
        folder.write("bpe/vocab.json", format!("{mark}{vocab}"));
        folder.write("bpe/merges.txt", format!("{mark}{}", merges.replace('\n', end)));
        assert_eq!(ids(), json!([2, 1, 0]), "{mark:?} {end:?}");
    }
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    folder.write("bpe/merges.txt", utf16(merges));
    assert!(
        refused(&["tokenize", "abba", "--tokenizer", &folder.path("bpe")]).contains("text in UTF-16: save it as UTF-8")
    );
    folder.write("model/config.json", utf16(&format!("{MARK}{{\"n_head\": 4}}")));
    assert!(refused(&["eval", &folder.path("model"), "--prompt", "abc"]).contains("config.json: it is text in UTF-16"));
    let book = folder.write("book.txt", utf16(&format!("{MARK}abc")));
    assert!(refused(&["eval", &folder.path("blob"), "--text", &book]).contains("UTF-8"));
}

#[test]
fn a_key_that_stands_twice_is_refused_by_name() {
    let folder = Folder::new();
    let eval = || refused(&["eval", &folder.path("model"), "--prompt", "abc"]);
    let config = fs::read_to_string(folder.path("model/config.json")).unwrap();
    folder.write("model/config.json", config.replacen('{', r#"{"n_head": 2, "n_head": 4, "#, 1));
    let message = eval();
    assert!(message.contains("config.json: the key `n_head` is there twice at line 1"), "{message}");
    folder.write("model/config.json", config);

    let path = folder.path("model/model.safetensors");
    let whole = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&whole[8..8 + length]).unwrap();
    let twice = header.replacen('{', r#"{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "x": 0, "#, 1);
    folder.write(
        "model/model.safetensors",
        [&(twice.len() as u64).to_le_bytes(), twice.as_bytes(), &whole[8 + length..]].concat(),
    );
    let message = eval();
    assert!(message.contains("damaged safetensors file: the key `x` is there twice"), "{message}");

    fs::rename(&path, folder.path("model/a.safetensors")).unwrap();
    folder
        .write("model/model.safetensors.index.json", r#"{"weight_map": {"x": "a.safetensors", "x": "b.safetensors"}}"#);
    let message = eval();
    assert!(message.contains("index.json: the key `x` is there twice"), "{message}");
    fs::remove_file(folder.path("model/model.safetensors.index.json")).unwrap();
    folder.write("model/model.safetensors", whole);
    let map = folder.write("map.json", r#"{"tensors": {}, "tensors": {}}"#);
    let message = refused(&["eval", &folder.path("model"), "--prompt", "abc", "--layout", &map]);
    assert!(message.contains("the key `tensors` is there twice"), "{message}");
    let vocab = folder.write("vocab.json", r#"{"a": 0, "b": 1, "a": 2}"#);
    folder.write("merges.txt", "");
    assert!(refused(&["tokenize", "ab", "--tokenizer", &vocab]).contains("the key `a` is there twice"));
}

/// The names of a file's tensors, all of them in `shard`.
fn weight_map(folder: &Folder, file: &str, shard: &str) -> Value {
    let whole = fs::read(folder.path(file)).unwrap();
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&whole[8..8 + length]).unwrap();
    let names = header.as_object().unwrap().keys().filter(|name| *name != "__metadata__");
    names.map(|name| (name.clone(), json!(shard))).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn shards_lie_in_the_folder_of_their_index_or_are_links_of_it() {
    let folder = Folder::new();
    let expected = folder.eval();
    let shard = folder.path("shard.safetensors");
    fs::rename(folder.path("model/model.safetensors"), &shard).unwrap();
    let index = |name: &str| {
        let map = weight_map(&folder, "shard.safetensors", name);
        folder.write("model/model.safetensors.index.json", json!({"weight_map": map}).to_string());
    };
    for name in [&shard, "../shard.safetensors", "../model/../shard.safetensors", "./x.safetensors", "..", ".", ""] {
        index(name);
        let message = refused(&["eval", &folder.path("model"), "--prompt", "abc"]);
        assert!(message.contains("is no plain name: shards lie in the folder of their index"), "{name}: {message}");
    }
    // As in Hugging Face's cache, where every file is a link to a blob with another name.
    fs::create_dir(folder.path("blobs")).unwrap();
    fs::rename(&shard, folder.path("blobs/5f1e")).unwrap();
    fs::rename(folder.path("model/config.json"), folder.path("blobs/0c0f")).unwrap();
    symlink("../blobs/5f1e", folder.path("model/shard.safetensors")).unwrap();
    symlink("../blobs/0c0f", folder.path("model/config.json")).unwrap();
    fs::copy(folder.path("blobs/5f1e"), &shard).unwrap();
    index("shard.safetensors");
    assert_eq!(folder.eval(), expected);
    fs::remove_file(folder.path("model/shard.safetensors")).unwrap();
    folder.fifo("model/shard.safetensors");
    assert!(refused(&["eval", &folder.path("model"), "--prompt", "abc"]).contains("it is a pipe"));
    assert!(Path::new(&folder.path("blobs/5f1e")).exists());
}
