//! Vocabularies and texts of any bytes: a blob's section, `tokenizer.json` and the files beside it, and byte pairs that
//! the host and core have to cut alike.

use std::fmt::Write;

use arbitrary::{Result, Unstructured};
use emberlm::text::tokenizer::select::Search;
use emberlm::text::tokenizer::{SectionParts, Tokenizer as HostTokenizer, section};
use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::{Decoder, Kind, NormalForm, Ranked, Tokenizer, TokenizerHead};
use serde_json::{Map, Value, json};

use super::parts;

/// Longer than any section that a fuzzer makes.
const MOST_BYTES: usize = 1 << 16;

/// Bytes of which tokens are made: all that GPT-2's pattern tells apart, a letter of two bytes, the replacement character.
const ALPHABET: [u8; 14] = *b"ab1 \n'st!\xc3\xa9\xef\xbf\xbd";

/// Flag 0: a section as bytes, behind the length of a text and the text. Flag 1: byte pairs, see `byte_pairs`.
pub fn run(data: &[u8]) -> bool {
    match data.split_first() {
        Some((&flags, rest)) if flags & 1 == 1 => byte_pairs(&mut Unstructured::new(rest)).unwrap_or(false),
        Some((_, [n, rest @ ..])) => {
            let (text, section) = rest.split_at(usize::from(*n).min(rest.len()));
            section_of_bytes(section, &String::from_utf8_lossy(text))
        }
        _ => false,
    }
}

/// Opens a section, repaired to the length that its head asks for, and takes `text` through it and back. Where tokens have
/// scores, or rules of their own, the host has the same.
fn section_of_bytes(section: &[u8], text: &str) -> bool {
    let mut section = section.to_vec();
    if let Ok((head, _)) = postcard::take_from_bytes::<TokenizerHead>(&section)
        && let Some(bytes) = head.section_bytes().filter(|&bytes| bytes <= MOST_BYTES)
    {
        section.resize(bytes, 0);
    }
    let Ok(tokenizer) = Tokenizer::open(&section, u32::MAX) else { return false };
    let host = section::parts(&tokenizer).and_then(|parts| HostTokenizer::from_parts(parts, "a section"));
    if let Some(ranked) = tokenizer.ranked() {
        return has_the_hosts_tokens(&tokenizer, ranked, &host.expect("what core takes has parts"), text);
    }
    let mut ids = vec![0; text.len() + 1];
    let Ok(n) = tokenizer.encode(text, &mut ids) else { return false };
    assert_eq!(spelled(&tokenizer, &ids[..n]), text);
    if tokenizer.kind() == Kind::ScoredBpe {
        let host = host.expect("what core takes has parts");
        assert_eq!(host.encode(text).as_deref(), Ok(&ids[..n]), "{text:?}");
    }
    // Every token that there is, and one that is not.
    let mut decoder = Decoder::new(tokenizer);
    let mut all = String::new();
    for token in 0..tokenizer.n_tokens() {
        decoder.push(token, &mut all).expect("a token of the section");
    }
    assert!(decoder.push(tokenizer.n_tokens(), &mut all).is_err());
    n > 0
}

/// By ranks: the host's tokens of a text that needs no normal form, and its text of any tokens.
fn has_the_hosts_tokens(tokenizer: &Tokenizer<'_>, ranked: &Ranked<'_>, host: &HostTokenizer, text: &str) -> bool {
    let mut ids = vec![0; 4 * text.len() + 1];
    let n = tokenizer.encode(text, &mut ids).ok();
    ids.truncate(n.unwrap_or(0));
    if ranked.rules().form == NormalForm::Any {
        assert_eq!(host.encode(text).ok().as_ref(), n.is_some().then_some(&ids), "{text:?}");
    }
    // From the last on: a long row of bytes goes wrong with its first.
    let all: Vec<TokenId> = (0..tokenizer.n_tokens()).rev().filter(|&id| host.token_bytes(id).is_some()).collect();
    for ids in [&ids, &all] {
        let known = ids.iter().all(|&id| host.token_bytes(id).is_some());
        assert!(!known || host.decode(ids).as_deref() == Ok(&spelled(tokenizer, ids)), "{ids:?}");
    }
    !ids.is_empty()
}

fn spelled(tokenizer: &Tokenizer<'_>, ids: &[TokenId]) -> String {
    let (mut decoder, mut text) = (Decoder::new(*tokenizer), String::new());
    ids.iter().for_each(|&id| decoder.push(id, &mut text).expect("a token of the section"));
    decoder.finish(&mut text).expect("a string takes all");
    text
}

/// Byte pairs by random merges, and a text of their bytes: the ids of host and core agree, and spell the text.
fn byte_pairs(u: &mut Unstructured<'_>) -> Result<bool> {
    let mut tokens: Vec<Vec<u8>> = ALPHABET.iter().map(|&byte| vec![byte]).collect();
    let mut merges: Vec<(usize, usize)> = Vec::new();
    for _ in 0..u.int_in_range(0..=24)? {
        let pair = (u.choose_index(tokens.len())?, u.choose_index(tokens.len())?);
        let joined = [tokens[pair.0].as_slice(), &tokens[pair.1]].concat();
        if merges.contains(&pair) || joined.len() > 64 {
            continue;
        }
        merges.push(pair);
        if !tokens.contains(&joined) {
            tokens.push(joined);
        }
    }
    let mut bytes = Vec::new();
    while !u.is_empty() {
        let n = u.int_in_range(1..=70)?;
        let run: u8 = u.arbitrary()?;
        match tokens.get(usize::from(run)) {
            Some(token) => (0..n).for_each(|_| bytes.extend(token)),
            None => bytes.push(ALPHABET[usize::from(run) % ALPHABET.len()]),
        }
    }
    let text = String::from_utf8_lossy(&bytes);

    let names: Vec<String> = tokens.iter().map(|token| spell(token)).collect();
    let vocab: Map<String, Value> = names.iter().enumerate().map(|(id, name)| (name.clone(), json!(id))).collect();
    let mut lines = String::new();
    for &(left, right) in &merges {
        writeln!(lines, "{} {}", names[left], names[right]).expect("a string takes all");
    }
    let vocab = serde_json::to_vec(&vocab).expect("a map of numbers");
    let host = HostTokenizer::from_vocab_and_merges(&vocab, &lines, "made up").expect("byte pairs");
    host_and_core_agree(&host, &text);
    Ok(host.encode(&text).is_ok_and(|ids| !ids.is_empty()))
}

/// `bytes` in the alphabet that GPT-2's files spell them in.
fn spell(bytes: &[u8]) -> String {
    let is_plain = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let spell = |&byte: &u8| match is_plain(byte) {
        true => char::from(byte),
        false => {
            let before = (0..byte).filter(|&byte| !is_plain(byte)).count() as u32;
            char::from_u32(0x100 + before).expect("far below the surrogates")
        }
    };
    bytes.iter().map(spell).collect()
}

/// Whether a tokenizer whose parts fit a blob gives the ids that the device will.
fn host_and_core_agree(host: &HostTokenizer, text: &str) {
    let Ok(parts) = host.section_parts() else { return };
    if let SectionParts::Ranked(_) = &parts {
        let section = section::encode(&parts);
        let core = Tokenizer::open(&section, u32::MAX).expect("a section of sound parts");
        has_the_hosts_tokens(&core, core.ranked().expect("tables"), host, text);
        return;
    }
    let core = HostTokenizer::from_parts(parts, "a section").expect("a section of sound parts");
    match (host.encode(text), core.encode(text)) {
        (Ok(host_ids), core_ids) => {
            assert_eq!(core_ids.as_ref(), Ok(&host_ids), "{text:?}");
            assert_eq!(host.decode(&host_ids).as_deref(), Ok(text));
        }
        (Err(_), core_ids) => assert!(core_ids.is_err(), "{text:?} became {core_ids:?} by core alone"),
    }
}

/// A text, a `tokenizer.json`, and the files that may lie beside it, with zero bytes between them.
pub fn run_json(data: &[u8]) -> bool {
    let names = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];
    let [text, files @ ..] = parts::<5>(data);
    let is_there = |(_, bytes): &(&str, &[u8])| !bytes.is_empty();
    let files: Vec<(&str, &[u8])> = names.into_iter().zip(files).filter(is_there).collect();
    let folder = super::folder(&files);
    let search = Search { checkpoint: Some(folder.path()), ..Search::default() };
    let Ok(found) = search.find() else { return false };
    let (tokenizer, text) = (found.tokenizer, String::from_utf8_lossy(text));
    for id in (0..40).chain([TokenId::MAX]) {
        let _ = (tokenizer.token_bytes(id), tokenizer.token_text(id));
    }
    host_and_core_agree(&tokenizer, &text);
    let Ok(ids) = tokenizer.encode(&text) else { return false };
    assert!(ids.iter().all(|&id| (id as usize) < tokenizer.n_vocab()), "{ids:?}");
    let _ = tokenizer.decode(&ids);
    !ids.is_empty()
}
