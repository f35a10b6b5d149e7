//! Kinds by what files hold: magic numbers, and what JSON says.

use std::path::Path;
use std::str;

use emberlm_core::blob::preamble::MAGIC;
use serde_json::{Map, Value};

use super::kind::Kind;
use super::{llama2c, read};

/// A kind and what its files begin with.
type Magic = (&'static [u8], Kind);

const MAGICS: &[Magic] = &[
    (&MAGIC, Kind::Blob),
    (RECORDS, Kind::Records),
    (PAGE.as_bytes(), Kind::Page),
    (b"GGUF", Kind::Gguf),
    (b"tjgg", Kind::Gguf),
    (b"fmgg", Kind::Gguf),
    (b"lmgg", Kind::Gguf),
    (&llama2c::MAGIC, Kind::Llama2c),
    (b"\x7fELF", Kind::Elf),
    (b"version https://git-lfs.github.com/", Kind::LfsPointer),
    (b"\x1f\x8b", Kind::Archive("a gzip archive")),
    (b"\xfd7zXZ\0", Kind::Archive("an xz archive")),
    (b"\x28\xb5\x2f\xfd", Kind::Archive("a zstd archive")),
    (b"BZh", Kind::Archive("a bzip2 archive")),
    (b"7z\xbc\xaf\x27\x1c", Kind::Archive("a 7z archive")),
    (b"Rar!\x1a\x07", Kind::Archive("a RAR archive")),
    (b"\x93NUMPY", Kind::OtherModel("a NumPy array")),
    (b"\x89HDF\r\n\x1a\n", Kind::OtherModel("an HDF5 file")),
];

/// What a UF2 file begins with, and where the bytes of its first block do.
const UF2: &[u8] = b"UF2\n\x57\x51\x5d\x9e";
const UF2_PAYLOAD: usize = 32;

/// What the header of a file of records begins with, before the version.
pub const RECORDS: &[u8] = b"{\"emberlm_records\":";

/// What a report as a page begins with.
pub const PAGE: &str = "<!DOCTYPE html><!-- emberlm report -->";

/// Where a safetensors header begins, after its length.
const HEADER: usize = size_of::<u64>();

/// Longer headers are none.
const MOST_OF_HEADER: u64 = 100_000_000;

/// What the names of PEFT's small matrices have in them.
const ADAPTER_WORDS: [&str; 2] = [".lora_A.", ".lora_B."];

/// Whether a tensor is one of an adapter's small matrices, which have no meaning without a base model.
pub fn is_of_adapter(tensor: &str) -> bool {
    ADAPTER_WORDS.iter().any(|word| tensor.contains(word))
}

/// What begins with `bytes`, or consists of them.
pub fn kind(bytes: &[u8], path: &Path) -> Kind {
    if bytes.is_empty() {
        return Kind::Empty;
    }
    if let Some(header) = safetensors_header(bytes) {
        return if is_adapter(header, path) { Kind::Adapter } else { Kind::Safetensors };
    }
    if let Some((_, kind)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return *kind;
    }
    if bytes.starts_with(UF2) {
        return Kind::Uf2 { of_blob: bytes.get(UF2_PAYLOAD..).is_some_and(|payload| payload.starts_with(&MAGIC)) };
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return zipped(bytes);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Kind::Archive("a tar archive");
    }
    // A pickle says its protocol first; what torch.save wrote before it wrote zip files is one.
    if let [0x80, 2..=5, ..] = bytes {
        return Kind::Torch;
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return Kind::OtherModel("a TensorFlow Lite model");
    }
    if is_llama2c(bytes) {
        return Kind::Llama2c;
    }
    if let Some(encoding) = read::encoding(bytes) {
        return Kind::OtherText(encoding);
    }
    match text(bytes) {
        Some(text) => written(text, path),
        None if ends_with(path, "tokenizer.model") => Kind::OtherModel("a SentencePiece model"),
        None if ends_with(path, ".onnx") => Kind::OtherModel("an ONNX model"),
        None => Kind::Unknown,
    }
}

/// The bytes after the length, where they are a safetensors header.
fn safetensors_header(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<HEADER>()?;
    let length = u64::from_le_bytes(*length);
    let header = (2..=MOST_OF_HEADER).contains(&length) && rest.first() == Some(&b'{');
    header.then(|| &rest[..rest.len().min(length as usize)])
}

/// Whether the bytes are the header of llama2.c's first format, which has no magic: counts of a model that somebody has.
fn is_llama2c(bytes: &[u8]) -> bool {
    let is_model = |header: llama2c::Header| {
        header.dim <= 1 << 16 && header.n_layer <= 1 << 10 && header.n_vocab <= 1 << 20 && header.n_ctx <= 1 << 20
    };
    llama2c::Header::read(bytes).is_ok_and(is_model)
}

/// Whether the tensors are PEFT's, by the name of the file or by those of the first tensors.
fn is_adapter(header: &[u8], path: &Path) -> bool {
    let says = |word: &[u8]| header.windows(word.len()).any(|window| window == word);
    ends_with(path, "adapter_model.safetensors") || ADAPTER_WORDS.iter().any(|word| says(word.as_bytes()))
}

/// What is in a zip file, by the name of its first entry.
fn zipped(bytes: &[u8]) -> Kind {
    let name = bytes.get(26..28).and_then(|length| {
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        bytes.get(30..30 + length)
    });
    let name = String::from_utf8_lossy(name.unwrap_or_default());
    if name.ends_with(".npy") {
        Kind::OtherModel("an archive of NumPy arrays")
    } else if ["/data.pkl", "/byteorder", "/version", "/.format_version"].iter().any(|end| name.ends_with(end)) {
        Kind::Torch
    } else {
        Kind::Archive("a zip archive")
    }
}

/// The text that `bytes` are or begin with, without its byte order mark.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        // The bytes may end in the middle of a character.
        Err(error) if error.error_len().is_none() => str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    (!text.contains('\0')).then(|| text.strip_prefix(read::BYTE_ORDER_MARK).unwrap_or(text))
}

fn written(text: &str, path: &Path) -> Kind {
    let start: String = text.trim_start().chars().take(64).collect::<String>().to_ascii_lowercase();
    match start.chars().next() {
        Some('<') if ["<!doctype html", "<html", "<head", "<?xml"].iter().any(|tag| start.starts_with(tag)) => {
            Kind::WebPage
        }
        Some('{' | '[') => match serde_json::from_str(text) {
            Ok(Value::Object(keys)) => described(&keys),
            Ok(Value::Array(items)) => listed(&items),
            _ => Kind::Json,
        },
        _ if ends_with(path, "merges.txt") || start.starts_with("#version:") => Kind::Tokenizer,
        _ => Kind::Text,
    }
}

/// What an object describes.
fn described(keys: &Map<String, Value>) -> Kind {
    let has = |names: &[&str]| names.iter().any(|name| keys.contains_key(*name));
    if has(&["weight_map"]) {
        Kind::ShardIndex
    } else if has(&["peft_type", "lora_alpha", "base_model_name_or_path"]) {
        Kind::Adapter
    } else if has(&["tensors"]) && has(&["orientation", "description"]) {
        Kind::NameMap
    } else if has(&["model"]) && has(&["added_tokens", "pre_tokenizer", "normalizer", "version"]) {
        Kind::Tokenizer
    } else if has(&["model_type", "architectures", "n_embd", "emb_dim", "hidden_size", "d_model", "vocab_size"]) {
        Kind::Config
    } else if keys.len() > 1 && keys.values().all(Value::is_u64) {
        Kind::Tokenizer
    } else {
        Kind::Json
    }
}

/// What a list holds.
fn listed(items: &[Value]) -> Kind {
    let is_id = |value: &Value| value.is_u64();
    let is_row = |value: &Value| value.as_array().is_some_and(|ids| ids.iter().all(is_id));
    let is_char = |value: &Value| value.as_str().is_some_and(|text| text.chars().count() == 1);
    match items {
        [] => Kind::Json,
        items if items.iter().all(is_id) || items.iter().all(is_row) => Kind::Tokens,
        items if items.iter().all(is_char) => Kind::Chars,
        _ => Kind::Json,
    }
}

fn ends_with(path: &Path, ending: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Kind {
        kind(bytes, Path::new("file"))
    }

    fn safetensors(header: &str) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
    }

    #[test]
    fn models_are_told_by_their_first_bytes() {
        assert_eq!(of(b"EMBERLM\0\x01\0"), Kind::Blob);
        assert_eq!(of(b"{\"emberlm_records\":1,\"run\":{"), Kind::Records);
        assert_eq!(of(format!("{PAGE}<html>").as_bytes()), Kind::Page);
        assert_eq!(of(&safetensors(r#"{"wte.weight": 1}"#)), Kind::Safetensors);
        // Its length looks like a pickle's protocol.
        assert_eq!(of(&safetensors(&format!("{{{}}}", " ".repeat(0x27e)))), Kind::Safetensors);
        assert_eq!(of(&safetensors(r#"{"base_model.model.h.0.attn.c_attn.lora_A.weight": 1}"#)), Kind::Adapter);
        let named = Path::new("out/adapter_model.safetensors");
        assert_eq!(kind(&safetensors(r#"{"x": 1}"#), named), Kind::Adapter);
        assert_eq!(of(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."), Kind::Torch);
        assert_eq!(of(b"\x80\x04\x95\0\0\0\0"), Kind::Torch);
        let zip = |name: &str| {
            [b"PK\x03\x04".as_slice(), &[0; 22], &(name.len() as u16).to_le_bytes(), &[0; 2], name.as_bytes()].concat()
        };
        assert_eq!(of(&zip("archive/data.pkl")), Kind::Torch);
        assert_eq!(of(&zip("wte.npy")), Kind::OtherModel("an archive of NumPy arrays"));
        assert_eq!(of(&zip("book.txt")), Kind::Archive("a zip archive"));
        assert_eq!(of(b"GGUF\x03\0\0\0"), Kind::Gguf);
        assert_eq!(of(b"\x1f\x8b\x08\0"), Kind::Archive("a gzip archive"));
    }

    #[test]
    fn text_is_told_by_what_it_says() {
        assert_eq!(of(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), Kind::LfsPointer);
        assert_eq!(of(b"\n<!DOCTYPE HTML>\n<html>"), Kind::WebPage);
        assert_eq!(of(b"<?xml version='1.0'?><Error><Code>AccessDenied"), Kind::WebPage);
        assert_eq!(of(b"<stage> Enter ROSALIND"), Kind::Text);
        assert_eq!(of(b"As I remember, Adam"), Kind::Text);
        // A character that the bytes cut.
        assert_eq!(of(b"caf\xc3"), Kind::Text);
        assert_eq!(of(b"a\0b"), Kind::Unknown);
        assert_eq!(of(b"\xff\xfea\0"), Kind::OtherText("UTF-16"));
        assert_eq!(of(b"#version: 0.2\na b"), Kind::Tokenizer);
        assert_eq!(of(b""), Kind::Empty);
    }

    #[test]
    fn json_is_told_by_its_keys() {
        for (json, expected) in [
            (r#"{"weight_map": {}}"#, Kind::ShardIndex),
            (r#"{"peft_type": "LORA", "r": 8}"#, Kind::Adapter),
            (r#"{"description": "x", "tensors": {}}"#, Kind::NameMap),
            (r#"{"version": "1.0", "model": {}}"#, Kind::Tokenizer),
            (r#"{"a": 0, "b": 1}"#, Kind::Tokenizer),
            (r#"{"model_type": "gpt2", "n_embd": 768}"#, Kind::Config),
            (r#"["a", "b"]"#, Kind::Chars),
            ("[1, 2, 3]", Kind::Tokens),
            ("[[1], []]", Kind::Tokens),
            ("[]", Kind::Json),
            (r#"{"n_embd": "#, Kind::Json),
        ] {
            assert_eq!(of(json.as_bytes()), expected, "{json}");
            assert_eq!(of(format!("\u{feff}{json}").as_bytes()), expected, "{json} after a mark");
        }
    }
}
