//! Whether what a `tokenizer.json` says is GPT-2's scheme, and its byte pairs.

use std::collections::HashMap;

use emberlm_core::config::TokenId;

use super::bpe_model::Model;
use super::byte_level;
use super::byte_pairs::BytePairs;
use super::document::{Added, Document};
use crate::ground::shown::quoted;

/// The byte pairs of a document.
///
/// # Errors
/// What differs from GPT-2's scheme.
pub fn byte_pairs(document: &Document) -> Result<BytePairs, String> {
    let model = Model::read(document.part("model"))?;
    if !document.part("normalizer").is_null() {
        return Err("it normalises text".into());
    }
    let pre = document.part("pre_tokenizer");
    if pre["type"] == "ByteLevel" && pre["add_prefix_space"] == true {
        return Err("it puts a space before a text (add_prefix_space)".into());
    }
    if pre["type"] != "ByteLevel" || pre["add_prefix_space"] != false || pre["use_regex"] == false {
        return Err("it does not cut text by GPT-2's pattern alone".into());
    }
    let decoder = document.part("decoder");
    if !decoder.is_null() && decoder["type"] != "ByteLevel" {
        return Err("its decoder is not ByteLevel".into());
    }
    let sets = [
        ("unk_token", model.unk_token.is_some()),
        ("byte_fallback", model.byte_fallback),
        ("ignore_merges", model.ignore_merges),
    ];
    if let Some((key, _)) = sets.iter().find(|(_, is_set)| *is_set) {
        return Err(format!("its model sets {key}"));
    }
    check_added(document.added())?;
    assemble(&model.vocab, &model.merges()?, document.added())
}

/// Pairs of added tokens that are compared, at most.
const MAX_PAIRS: usize = 1_000_000;

/// Whether a text may be cut at all added tokens at once: the leftmost first, and the longest of those that start at one
/// place.
fn check_added(added: &[Added]) -> Result<(), String> {
    let flagged = |added: &&Added| added.single_word || added.lstrip || added.rstrip;
    if let Some(Added { content, .. }) = added.iter().find(flagged) {
        return Err(format!("the added token {} takes white space or whole words only", quoted(content)));
    }
    // Those that are not normalised are cut out first, wherever they are.
    let (normalized, first): (Vec<&Added>, Vec<&Added>) = added.iter().partition(|added| added.normalized);
    if normalized.len() * first.len() > MAX_PAIRS {
        return Err("it has too many added tokens of which some are normalised and some not".into());
    }
    for Added { content: late, .. } in &normalized {
        for Added { content: early, .. } in &first {
            let meet = |at: usize| {
                let (rest, early) = (&late.as_bytes()[at..], early.as_bytes());
                let shared = rest.len().min(early.len());
                rest[..shared] == early[..shared] && (at > 0 || early.len() < late.len())
            };
            if (0..late.len()).any(meet) {
                return Err(format!(
                    "the added tokens {} and {} overlap, and only one is normalised",
                    quoted(early),
                    quoted(late)
                ));
            }
        }
    }
    Ok(())
}

/// Turns names in the byte alphabet into bytes and ids. Added tokens are spelled as text.
fn assemble(vocab: &HashMap<String, TokenId>, merges: &[(&str, &str)], added: &[Added]) -> Result<BytePairs, String> {
    let highest = vocab.values().copied().chain(added.iter().map(|added| added.id)).max().unwrap_or(0);
    let mut tokens: Vec<Vec<u8>> = vec![Vec::new(); highest as usize + 1];
    for added in added {
        let spelled = vocab.get(&added.content).and_then(|_| byte_level::to_bytes(&added.content));
        if spelled.is_some_and(|bytes| bytes != added.content.as_bytes()) {
            return Err(format!("the added token {} is the name of bytes too", quoted(&added.content)));
        }
        match vocab.get(&added.content) {
            Some(id) if *id != added.id => {
                return Err(format!("the added token {} has two ids", quoted(&added.content)));
            }
            _ => tokens[added.id as usize] = added.content.as_bytes().to_vec(),
        }
    }
    for (name, &id) in vocab {
        let token = &mut tokens[id as usize];
        if token.is_empty() {
            *token =
                byte_level::to_bytes(name).ok_or_else(|| format!("the token {} is not made of bytes", quoted(name)))?;
        }
    }
    let id_of =
        |name: &str| vocab.get(name).copied().ok_or_else(|| format!("the merge part {} is no token", quoted(name)));
    let merges =
        merges.iter().map(|(left, right)| Ok((id_of(left)?, id_of(right)?))).collect::<Result<Vec<_>, String>>()?;
    let specials = added.iter().filter(|added| !added.content.is_empty()).map(|added| added.id).collect();
    BytePairs::new(tokens, merges, specials).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::bpe::Bpe;
    use super::super::other::Other;
    use super::*;
    use crate::text::tokenizer::TokenizerError;
    use serde_json::{Value, json};

    /// A tokenizer.json of the letters a, b, space and one merge.
    fn file() -> Value {
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "added_tokens": [{"id": 5, "content": "<é>", "single_word": false, "lstrip": false, "rstrip": false,
                              "normalized": false, "special": true}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
                      "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4}, "merges": [["a", "b"], ["Ġ", "ab"]]}
        })
    }

    fn document(file: &Value) -> Result<Document, String> {
        Document::of_json(&serde_json::to_vec(file).unwrap())
    }

    fn pairs(file: &Value) -> Result<BytePairs, String> {
        byte_pairs(&document(file)?)
    }

    fn added(id: u32, content: &str, normalized: bool) -> Value {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": normalized, "special": false})
    }

    #[test]
    fn both_spellings_of_merges_are_read() {
        let mut lines = file();
        lines["model"]["merges"] = json!(["a b", "Ġ ab"]);
        let read = pairs(&file()).unwrap();
        assert_eq!(pairs(&lines).unwrap(), read);
        assert_eq!(read.merges(), [(0, 1), (2, 3)]);
        assert_eq!(read.tokens()[4], b" ab");
        assert_eq!(read.specials(), [5]);
    }

    #[test]
    fn byte_pairs_and_the_library_give_the_same_ids() {
        // A token that no merge makes is never found; an added one is, though merges make it too, or it is one byte.
        let mut more = file();
        more["model"]["vocab"]["Ġb"] = json!(5);
        let tokens = [added(6, "<é>", false), added(3, "ab", true), added(1, "b", true), added(7, "a b", true)];
        more["added_tokens"] = json!(tokens);
        for (file, special) in [(file(), 5), (more, 6)] {
            let bpe = Bpe::new(pairs(&file).unwrap()).unwrap();
            let other = Other::new(&document(&file).unwrap(), String::new()).unwrap();
            for text in ["ab ab", "<é>ab", "  abb a", "ba<é> <é>", "a b ba b", " b b"] {
                assert_eq!(bpe.encode(text).unwrap(), other.encode(text).unwrap(), "{text:?}");
            }
            assert_eq!(other.token_bytes(4), Some(b" ab".as_slice()));
            assert_eq!(other.token_bytes(special), Some("<é>".as_bytes()));
            assert!(matches!(other.encode("ab c"), Err(TokenizerError::Unrepresentable { c: 'c', .. })));
        }
    }

    #[test]
    fn whatever_is_not_the_scheme_is_said() {
        let mut cases = Vec::new();
        let mut change = |pointer: &str, value: Value, why: &str| {
            let mut file = file();
            *file.pointer_mut(pointer).unwrap() = value;
            cases.push((file, why.to_owned()));
        };
        for kind in ["NFC", "NFKC", "NFD", "NFKD", "Lowercase", "StripAccents", "Nmt"] {
            change("/normalizer", json!({"type": kind}), "it normalises text");
        }
        let space = "it puts a space before a text (add_prefix_space)";
        change("/pre_tokenizer/add_prefix_space", json!(true), space);
        change("/pre_tokenizer/type", json!("Metaspace"), "it does not cut text by GPT-2's pattern alone");
        change("/pre_tokenizer", Value::Null, "it does not cut text by GPT-2's pattern alone");
        change("/decoder", json!({"type": "Fuse"}), "its decoder is not ByteLevel");
        change("/model/unk_token", json!("a"), "its model sets unk_token");
        change("/model/dropout", json!(0.1), "its model sets dropout");
        change("/model/type", json!("WordPiece"), "its model is WordPiece and not BPE");
        let flagged = "the added token \"<é>\" takes white space or whole words only";
        for flag in ["lstrip", "rstrip", "single_word"] {
            change(&format!("/added_tokens/0/{flag}"), json!(true), flagged);
        }
        change("/added_tokens/0/content", json!("é"), "the byte pairs are sound");
        change("/model/merges", json!(["a c"]), "the merge part \"c\" is no token");
        change("/model/merges", json!(["b a"]), "merge 0 of tokens 1 and 0 makes no token of the vocabulary");
        change("/model/vocab/b", json!(0), "the id 0 stands for two tokens, \"a\" and \"b\"");
        change("/model/vocab/b", json!(5), "the id 5 stands for two tokens, \"b\" and \"<é>\"");
        change("/model/vocab/b", json!(1_000_000), "the id 1000000 is far beyond its 6 tokens");
        change("/added_tokens/0/id", json!(u32::MAX), "the id 4294967295 is far beyond its 6 tokens");
        let overlap = "the added tokens \"<é>\" and \"a<é\" overlap, and only one is normalised";
        change("/added_tokens", json!([added(5, "<é>", false), added(6, "a<é", true)]), overlap);
        let name = "the added token \"é\" is the name of bytes too";
        let mut byte = file();
        byte["model"]["vocab"]["é"] = json!(5);
        byte["added_tokens"] = json!([added(5, "é", true)]);
        cases.push((byte, name.into()));
        for (file, why) in cases {
            let said = pairs(&file).err().unwrap_or_else(|| "the byte pairs are sound".into());
            assert_eq!(said, why);
        }
    }

    #[test]
    fn ids_that_are_none_are_refused() {
        for (pointer, value) in [
            ("/model/vocab/b", json!(-1)),
            ("/model/vocab/b", json!(4_294_967_296u64)),
            ("/model/vocab/b", json!(1.5)),
            ("/model/vocab/b", json!("1")),
            ("/added_tokens/0/id", json!(-1)),
            ("/added_tokens/0/id", Value::Null),
            ("/added_tokens/0/content", json!(3)),
            ("/added_tokens", json!({})),
        ] {
            let mut file = file();
            *file.pointer_mut(pointer).unwrap() = value;
            assert!(document(&file).is_err(), "{pointer}");
        }
    }

    #[test]
    fn vocab_and_merges_name_the_same_pairs() {
        let vocab =
            "{\"a\": 0, \"b\": 1, \"\u{120}\": 2, \"ab\": 3, \"\u{120}ab\": 4, \"<|end|>\": 5, \"\u{120}b\": 6}";
        let read = |merges| Document::of_vocab_and_merges(vocab.as_bytes(), merges);
        let pairs = byte_pairs(&read("#version: 0.2\na b\n\u{120} ab\n").unwrap()).unwrap();
        assert_eq!(pairs.merges(), [(0, 1), (2, 3)]);
        assert_eq!(pairs.specials(), [5]);
        assert_eq!(pairs.tokens()[6], b" b");
        assert!(read("ab\n").is_err_and(|why| why == "the merge \"ab\" is not two tokens"));
    }
}
