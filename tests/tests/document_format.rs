//! `FORMAT.md` states the layout that core reads and the converter writes: every number of it, on an actual blob.

use std::collections::BTreeMap;

use emberlm::text::tokenizer::byte_pairs::BytePairs;
use emberlm::text::tokenizer::{SectionParts, Tokenizer, section};
use emberlm_core::blob::{
    ARITHMETIC, Descriptor, FORMAT_VERSION, Head, LayerSlot, MAX_SELF_TEST_TOKENS, Preamble, SECTION_ALIGNMENT,
    SelfTest, Slot,
};
use emberlm_core::config::{Activations, Config, Gelu};
use emberlm_core::crc::crc32;
use emberlm_core::format::Format;
use emberlm_core::kv_cache::KvType;
use emberlm_core::model::Model;
use emberlm_core::source::{ALIGNMENT, Mapped};
use emberlm_core::tokenizer::{Kind, MAX_PROBES, TokenizerHead, first_slot, first_slot_of_text};
use emberlm_tests::aligned::AlignedBytes;
use emberlm_tests::blobs;
use emberlm_tests::document::{Document, number};
use emberlm_tests::fixtures;
use emberlm_tests::models::{Biases, Spec};

fn format() -> Document {
    Document::open("FORMAT.md")
}

/// Two layers and every optional tensor but the last.
const SPEC: Spec = Spec { n_layer: 2, biases: Biases { head: false, ..Biases::GPT2 }, ..Spec::RAGGED };

fn blob() -> AlignedBytes {
    let tokenizer = SectionParts::Chars("abc".chars().collect());
    blobs::of_model(&SPEC.model(1), Format::Q8, Some(tokenizer))
}

/// Fields by name: where each lies, and its little-endian value.
struct Fields(BTreeMap<String, (usize, Vec<u64>)>);

impl Fields {
    /// Reads what the table behind `start` says, whose offsets count from `origin` in `bytes`, and checks that its fields
    /// follow one another from `from` to `to`.
    fn read(start: &str, bytes: &[u8], (from, to): (usize, usize)) -> Self {
        let mut at = from;
        let mut fields = BTreeMap::new();
        for row in format().table(start) {
            let [offset, kind, field] = &row[..] else { panic!("{row:?} has no three cells") };
            assert_eq!(number(offset), at as i64, "{row:?}");
            let values = kind.split(", ").map(|kind| {
                let size = size(kind);
                let value = bytes[at..at + size].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
                at += size;
                value
            });
            let name = field.split([',', ':']).next().expect("a name");
            let values = values.collect();
            assert!(fields.insert(name.to_owned(), (number(offset) as usize, values)).is_none(), "{name} twice");
        }
        assert_eq!(at, to, "the table behind {start} ends there");
        Self(fields)
    }

    fn all(&self, name: &str) -> &[u64] {
        &self.0[name].1
    }

    fn get(&self, name: &str) -> u64 {
        let &[value] = self.all(name) else { panic!("{name} is one value") };
        value
    }
}

fn size(kind: &str) -> usize {
    match kind {
        "u8" => 1,
        "u16" => 2,
        "u32" | "f32" => 4,
        "u64" => 8,
        bytes => number(bytes.strip_suffix(" bytes").expect("so many bytes")) as usize,
    }
}

/// Codes and names of a sentence as `0 tanh form, 1 erf form`.
fn codes(list: &str) -> Vec<(u8, String)> {
    let pair = |pair: &str| {
        let (code, name) = pair.split_once([' ', '=']).expect("a code and a name");
        let name = name.trim_start_matches(['=', ' ']);
        (number(code) as u8, name.to_owned())
    };
    list.split(", ").map(pair).collect()
}

/// The byte by which postcard stores a choice.
fn stored(choice: &impl serde::Serialize) -> u8 {
    let bytes = postcard::to_stdvec(choice).unwrap();
    assert_eq!(bytes.len(), 1);
    bytes[0]
}

#[test]
fn versions() {
    let format = format();
    let version = i64::from(FORMAT_VERSION);
    assert_eq!(format.number("# The Emberlm blob, format version {} A blob is one GPT-2 model"), version);
    assert_eq!(format.number("| 8 | u16 | format version, {} |"), version);
    let arithmetic = i64::from(ARITHMETIC);
    assert_eq!(format.number("| u16 | `arithmetic`, {} |"), arithmetic);
    assert_eq!(format.number("# Arithmetic Arithmetic {}. Given the same blob,"), arithmetic);
}

#[test]
fn alignment() {
    let format = format();
    assert_eq!(format.number("is `x` rounded up to a multiple of {}. \"Varint\""), SECTION_ALIGNMENT as i64);
    assert_eq!(format.number("lies at an address that is a multiple of {} where it is mapped."), ALIGNMENT as i64);
}

#[test]
fn parts_and_preamble() {
    let (format, blob) = (format(), blob());
    let preamble = Fields::read("## Preamble", &blob, (0, Preamble::BYTES));
    assert_eq!(&blob[..8], b"EMBERLM\0");
    assert_eq!(preamble.get("format version"), u64::from(FORMAT_VERSION));
    assert_eq!(preamble.get("blob_bytes"), blob.len() as u64);
    let manifest_end = Preamble::BYTES + preamble.get("manifest_bytes") as usize;

    let last = format.number("CRC-32 of bytes 0 to {} and of the manifest");
    assert_eq!(last as usize + 1, Preamble::CHECKED_BYTES);
    let header = [&blob[..=last as usize], &blob[Preamble::BYTES..manifest_end]].concat();
    assert_eq!(preamble.get("CRC-32 of bytes 0 to 21 and of the manifest"), u64::from(crc32(&header)));

    let model = Model::open(Mapped::new(&blob).unwrap()).unwrap();
    let head = model.head();
    let n = Preamble::BYTES;
    let sections_end = (head.tensors.offset + head.tensors.bytes) as usize;
    assert!(sections_end.is_multiple_of(16) && sections_end as u64 == head.tokenizer.offset);
    assert_eq!(head.tensors.offset as usize, manifest_end.next_multiple_of(SECTION_ALIGNMENT));
    let rows = format.table("| part | from | to |");
    let bounds: Vec<&[String]> = rows.iter().map(|row| &row[1..]).collect();
    assert_eq!(
        bounds,
        [
            ["0".into(), n.to_string()],
            [n.to_string(), format!("{n} + manifest_bytes")],
            [format!("align16({n} + manifest_bytes)"), "a multiple of 16".into()],
            ["where the tensors end".into(), "blob_bytes - 4".into()],
            ["blob_bytes - 4".into(), "blob_bytes".into()],
        ]
    );
    let sections = crc32(&blob[manifest_end..blob.len() - 4]).to_le_bytes();
    assert_eq!(blob[blob.len() - 4..], sections);
}

#[test]
fn checksums() {
    let format = format();
    let [polynomial, ones] =
        format.numbers("reflected polynomial {}, initial value and final exclusive-or {}; over the nine");
    let crc = |bytes: &[u8]| {
        let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| u32::from(byte >> bit & 1)));
        let next = |crc: u32, bit: u32| crc >> 1 ^ if (crc ^ bit) & 1 == 1 { polynomial as u32 } else { 0 };
        bits.fold(ones as u32, next) ^ ones as u32
    };
    let [digits, check] = format.words("over the nine ASCII digits {} it is {}. What reports");
    let digits = digits.replace('`', "");
    assert_eq!((i64::from(crc(digits.as_bytes())), digits.len()), (number(&check), 9));
    let bytes: Vec<u8> = (0..=255).collect();
    for len in 0..bytes.len() {
        assert_eq!(crc(&bytes[..len]), crc32(&bytes[..len]));
    }

    let blob = blob();
    let offset = format.number("is the CRC-32 of eight bytes, those at offset {}, the header's CRC, and then");
    let offset = offset as usize;
    let crc = crc(&[&blob[offset..offset + 4], &blob[blob.len() - 4..]].concat());
    assert_eq!(Model::open(Mapped::new(&blob).unwrap()).unwrap().crc32(), Ok(crc));
}

#[test]
fn manifests_head() {
    let (format, blob) = (format(), blob());
    let [bytes, offset] = format.numbers("**Head**, {} bytes from offset {}:");
    assert_eq!((bytes as usize, offset as usize), (Head::BYTES, Preamble::BYTES));
    let fields = Fields::read("**Head**", &blob, (Preamble::BYTES, Preamble::BYTES + Head::BYTES));
    let model = Model::open(Mapped::new(&blob).unwrap()).unwrap();
    let Head { arithmetic, config, activations, tensors, tokenizer } = *model.head();
    let Config { n_vocab, n_ctx, n_embd, n_head, n_layer, n_ff, layer_norm_epsilon, gelu } = config;
    let counts = [n_vocab, n_ctx, n_embd, n_head, n_layer, n_ff];
    let names = ["n_vocab", "n_ctx", "n_embd", "n_head", "n_layer", "n_ff"];
    assert_eq!(names.map(|name| fields.get(name)), counts.map(u64::from));
    assert_eq!(fields.get("arithmetic"), u64::from(arithmetic));
    assert_eq!(fields.get("layer_norm_epsilon"), u64::from(layer_norm_epsilon.to_bits()));
    assert_eq!(fields.get("GELU"), u64::from(stored(&gelu)));
    assert_eq!(fields.get("activations"), u64::from(stored(&activations)));
    assert_eq!(fields.all("tensors"), [tensors.offset, tensors.bytes]);
    assert_eq!(fields.all("tokeniser"), [tokenizer.offset, tokenizer.bytes]);
    assert_eq!(fields.0.len(), 12);
}

#[test]
fn ranges_of_the_config() {
    type Field = fn(&mut Config) -> &mut u32;
    let fields: [(&str, Field); 5] = [
        ("n_vocab", |config| &mut config.n_vocab),
        ("n_ctx", |config| &mut config.n_ctx),
        ("n_embd", |config| &mut config.n_embd),
        ("n_layer", |config| &mut config.n_layer),
        ("n_ff", |config| &mut config.n_ff),
    ];
    for (name, field) in fields {
        let [least, most] = format().numbers(&format!("| u32 | `{name}`, {{}} to {{}} |"));
        let is_valid = |value: i64| {
            let mut config = Config {
                n_vocab: 1,
                n_ctx: 1,
                n_embd: 1,
                n_layer: 1,
                n_ff: 1,
                norms: Norms { epsilon: 0.0, ..Config::GPT2.norms },
                ..Config::GPT2
            }
            .with_heads(1);
            *field(&mut config) = value as u32;
            config.validate().is_ok()
        };
        assert_eq!([least - 1, least, most, most + 1].map(is_valid), [false, true, true, false], "{name}");
    }
}

#[test]
fn codes_of_choices() {
    let format = format();
    let [gelus] = format.words("| u8 | GELU: {} |");
    let gelus = codes(&gelus);
    assert_eq!(gelus, [Gelu::Tanh, Gelu::Erf].map(|gelu| (stored(&gelu), format!("{} form", gelu.name()))));
    let [activations] = format.words("| u8 | activations: {}; see Products");
    let mut core = Activations::ALL.map(|activations| (stored(&activations), activations.name().to_owned()));
    core.sort();
    assert_eq!(codes(&activations), core);
    let [kv_types] = format.words("| KV cache type ({}) and the bits of the f64 sum");
    assert_eq!(codes(&kv_types), KvType::ALL.map(|kv_type| (stored(&kv_type), kv_type.name().to_owned())));
    let row = &format.table("**Tensor table**")[0];
    let formats = codes(row[2].strip_prefix("format: ").expect("the codes of formats"));
    let core = Format::ALL.map(|format| (format.code(), format.name().to_owned()));
    assert_eq!(formats, [&[(0, "absent".to_owned())][..], &core].concat());
    let row = &format.table("A head of 32 bytes")[0];
    let kinds = codes(row[2].strip_prefix("kind: ").expect("the codes of kinds"));
    assert_eq!(
        kinds.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
        [Kind::Chars, Kind::ByteBpe, Kind::ScoredBpe].map(|k| stored(&k))
    );
}

#[test]
fn tensor_table() {
    let (format, blob) = (format(), blob());
    let [globals, each, bytes] = format.numbers("a sequence of `{} + {} n_layer` descriptors of {} bytes:");
    let mut model = Model::open(Mapped::new(&blob).unwrap()).unwrap();
    let config = *model.config();
    assert_eq!((globals + each * i64::from(config.n_layer)) as usize, Slot::count(&config));
    assert_eq!((each as usize, bytes as usize), (LayerSlot::ALL.len(), Descriptor::BYTES));
    // The table's length is a varint of one byte.
    let table = Preamble::BYTES + Head::BYTES + 1;
    let mut absent = 0;
    for slot in Slot::all(&config) {
        let start = table + slot.index() * Descriptor::BYTES;
        let fields = Fields::read("**Tensor table**", &blob[start..], (0, Descriptor::BYTES));
        let [rows, columns, offset] = ["rows", "columns", "offset of the first row"].map(|name| fields.get(name));
        match model.tensor(slot).unwrap() {
            Some(tensor) => {
                assert_eq!(fields.get("format"), u64::from(tensor.format.code()));
                assert_eq!([rows, columns, offset].map(|n| n as usize), [tensor.rows, tensor.cols, tensor.offset]);
            }
            None => {
                assert_eq!([fields.get("format"), rows, columns, offset], [0; 4]);
                absent += 1;
            }
        }
    }
    assert_eq!(absent, 1, "the head's bias");
}

#[test]
fn slots() {
    let format = format();
    let config = Config {
        n_vocab: 1009,
        n_ctx: 503,
        n_embd: 101,
        n_layer: 4,
        n_ff: 307,
        norms: Norms { epsilon: 0.0, ..Config::GPT2.norms },
        ..Config::GPT2
    }
    .with_heads(1);
    let dimension = |word: &str| match word {
        "1" => 1,
        "n_vocab" => config.n_vocab,
        "n_ctx" => config.n_ctx,
        "n_embd" => config.n_embd,
        "3 n_embd" => 3 * config.n_embd,
        "n_ff" => config.n_ff,
        _ => panic!("no dimension is {word}"),
    };
    let check = |row: &[String], slot: Slot, name: &str| {
        assert_eq!(row[1].split(':').next(), Some(name));
        let shape = row[2].trim_matches(['[', ']']).split_once(", ").expect("two dimensions");
        assert_eq!((dimension(shape.0), dimension(shape.1)), slot.shape(&config), "{slot}");
        assert_eq!(row[3].starts_with("optional"), slot.is_optional(), "{slot}");
        assert_eq!(shape.0 != "1", slot.is_matrix(), "{slot}");
    };
    let globals = format.table("| slot | tensor | shape | |");
    for (row, slot) in globals.iter().zip(Slot::all(&config)) {
        assert_eq!(number(&row[0]) as usize, slot.index());
        check(row, slot, &slot.to_string());
    }
    let [first, each] = format.numbers("then for each layer `i`, slot `{} + {} i +`");
    assert_eq!(first as usize, globals.len());
    let rows = format.table("then for each layer `i`");
    assert_eq!(rows.len(), LayerSlot::ALL.len());
    for (row, slot) in rows.iter().zip(LayerSlot::ALL) {
        for layer in [0, 3] {
            let slot = Slot::Layer(layer, slot);
            assert_eq!(slot.index() as i64, first + each * i64::from(layer) + number(&row[0]));
            check(row, slot, slot.to_string().split_once(&format!("{layer}.")).expect("a layer's name").1);
        }
    }
}

#[test]
fn self_test() {
    let [least, most] = format().numbers("| sequence of varints | {} to `min({}, n_ctx + 1)` token ids");
    assert_eq!((least, most as usize), (2, MAX_SELF_TEST_TOKENS));
    let known = format().number("| sequence of (u8, u64), at most {} |");
    let room = SelfTest { tokens: Default::default(), known: Default::default() }.known.capacity();
    assert_eq!(known as usize, room);
}

#[test]
fn rows() {
    let format = format();
    let multiple = format.number("to the next one's, rounded up to a multiple of {}: | format");
    let f32 = format.number("| f32 | `{} n` | `n` f32 |");
    let f16 = format.number("| f16 | `{} n` | `n` f16, zeros |");
    let [q8_group, q8_scale] = format.numbers("| q8 | `n + ceil(n / {}) + {}` |");
    let [group, scale] = format.numbers("| q6, q5, q4, q3 | `planes(n) + ceil(n / {}) + {}` |");
    let planes: [(Format, [i64; 2]); 4] = [
        (Format::Q6, format.numbers("columns in q6 is a plane of {} bits and then one of {}, in q5")),
        (Format::Q5, format.numbers("in q5 one of {} and one of {}, in q4")),
        (Format::Q4, [format.number("in q4 one of {}, in q3"), 0]),
        (Format::Q3, format.numbers("in q3 one of {} and one of {}. The first plane")),
    ];
    assert_eq!(format.number("a u8 `s` for each group of {} columns"), q8_group);
    assert_eq!(format.number("the planes of each group of {} columns"), group);
    for n in 1..400_i64 {
        let stride = |bytes: i64| (bytes as usize).next_multiple_of(multiple as usize);
        assert_eq!(Format::F32.row_stride(n as usize), stride(f32 * n));
        assert_eq!(Format::F16.row_stride(n as usize), stride(f16 * n));
        let ceil = |a: i64, b: i64| (a + b - 1) / b;
        assert_eq!(Format::Q8.row_stride(n as usize), stride(n + ceil(n, q8_group) + q8_scale));
        for (format, planes) in planes {
            let bytes = |m: i64| planes.iter().map(|p| ceil(p * m, 8)).sum::<i64>();
            let bytes = n / group * bytes(group) + bytes(n % group);
            assert_eq!(format.row_stride(n as usize), stride(bytes + ceil(n, group) + scale), "{format:?} {n}");
        }
    }
    for (format, [low, high]) in planes {
        let packing = format.packing().unwrap();
        assert_eq!((i64::from(packing.planes.0), i64::from(packing.planes.1)), (low, high));
        assert_eq!((i64::from(packing.bits), packing.group as i64), (low + high, group));
    }
}

#[test]
fn tokeniser() {
    let format = format();
    let bytes = format.number("A head of {} bytes, then tables of u32");
    assert_eq!(bytes as usize, TokenizerHead::BYTES);
    let head =
        TokenizerHead { kind: Kind::ByteBpe, n_tokens: 11, n_merges: 12, text_bytes: 13, n_specials: 14, n_slots: 15 };
    let mut encoded = [0; TokenizerHead::BYTES];
    postcard::to_slice(&head, &mut encoded).unwrap();
    let fields = Fields::read("A head of 32 bytes", &encoded, (0, TokenizerHead::BYTES));
    let values = ["n_tokens", "n_merges", "text_bytes", "n_specials", "n_slots"].map(|name| fields.get(name));
    assert_eq!(values, [11, 12, 13, 14, 15]);

    assert_eq!(format.number("found at one of the {} places from `f` on"), i64::from(MAX_PROBES));
    let [left_by, by] = format.numbers("with `h = ((left * {} + right) * {}) mod 2^32`");
    let shift = format.number("`f` is `(h xor floor(h / 2^{})) mod n_slots`.");
    for (left, right) in [(0, 0), (1, 2), (50_256, 7), (u32::MAX, 3), (12_345, u32::MAX)] {
        let h = left_by.wrapping_mul(i64::from(left)).wrapping_add(i64::from(right)).wrapping_mul(by) as u32;
        assert_eq!(first_slot(left, right, 1 << 16), (h ^ h >> shift) & 0xFFFF);
    }

    assert_eq!(format.number("found at one of the {} places from `g` on"), i64::from(MAX_PROBES));
    let [start, by] = format.numbers("(from {} on, for each byte `h = ((h xor byte) * {}) mod 2^32`)");
    let shift = format.number("`g` is `(h xor floor(h / 2^{})) mod n_slots`.");
    for text in ["", "a", " once upon", "é日"] {
        let h = text.bytes().fold(start, |h, byte| (h ^ i64::from(byte)) * by % (1 << 32)) as u32;
        assert_eq!(first_slot_of_text(text.as_bytes(), 1 << 16), (h ^ h >> shift) & 0xFFFF);
    }
}

/// The lengths of two sections, each a sum of what its tables hold.
#[test]
fn lengths_of_tokenisers() {
    let format = format();
    let [tokens, bytes] = format.numbers("GPT-2's section ({} tokens) has {} bytes");
    let [small, small_bytes] = format.numbers("that of the bundled vocabulary of {} tokens {}, that of");
    let [scored, scored_bytes] = format.numbers("that of stories260K's {} tokens, by scores, {}. ## Opening");
    let len = |parts: &SectionParts| section::encode(parts).len() as i64;
    let gpt2 = Tokenizer::gpt2().unwrap();
    assert_eq!((gpt2.n_vocab() as i64, len(&gpt2.section_parts().unwrap())), (tokens, bytes));
    let json = std::fs::read(fixtures::bundled("shakespeare-bpe512").join("tokenizer.json")).unwrap();
    let bundled = Tokenizer::from_tokenizer_json(&json, "tokenizer.json").unwrap();
    assert_eq!((bundled.n_vocab() as i64, len(&bundled.section_parts().unwrap())), (small, small_bytes));
    let file = std::fs::read(fixtures::bundled("stories260K").join("tok512.bin")).unwrap();
    let stories = Tokenizer::from_tokenizer_bin(&file, "tok512.bin").unwrap();
    assert_eq!((stories.n_vocab() as i64, len(&stories.section_parts().unwrap())), (scored, scored_bytes));
    let none = format.number("\"None\" is {}.");
    let pairs = BytePairs::new(vec![b"a".to_vec()], Vec::new(), Vec::new()).unwrap();
    let words = &section::encode(&SectionParts::BytePairs(pairs))[TokenizerHead::BYTES + 8..];
    assert_eq!(i64::from(u32::from_le_bytes(*words.first_chunk().unwrap())), none, "byte 0 has no token");
}
