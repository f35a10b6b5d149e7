//! `FORMAT.md` states the layout that core reads and the converter writes: every number of it, on an actual blob.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use emberlm::text::tokenizer::byte_pairs::BytePairs;
use emberlm::text::tokenizer::{SectionParts, Tokenizer, section};
use emberlm_core::blob::slot::Presence;
use emberlm_core::blob::{
    ARITHMETIC, Descriptor, FORMAT_VERSION, Head, LayerSlot, LongSelfTest, MAX_SELF_TEST_TOKENS, NO_TOKEN, Preamble,
    SECTION_ALIGNMENT, SelfTest, Slot, TextTokens,
};
use emberlm_core::config::{
    Activation, Activations, Config, GATE_RUN, Layers, Mlp, NormKind, Norms, Positions, Rotary,
};
use emberlm_core::crc::crc32;
use emberlm_core::format::Format;
use emberlm_core::kv_cache::KvType;
use emberlm_core::model::Model;
use emberlm_core::source::{ALIGNMENT, Mapped};
use emberlm_core::tokenizer::{Kind, MAX_PROBES, TokenizerHead, first_slot, first_slot_of_text};
use emberlm_tests::aligned::AlignedBytes;
use emberlm_tests::blob_writer::{self, Beside};
use emberlm_tests::document::{Document, number};
use emberlm_tests::fixtures;
use emberlm_tests::models::{self, Spec, Window};
use emberlm_tests::quantised::Storage;

fn format() -> Document {
    Document::open("FORMAT.md")
}

/// Two layers of a Llama that turn by different tables, of five pairs each; one sees a window.
const SPEC: Spec = Spec {
    n_layer: 2,
    n_kv_head: Some(3),
    window: Some(Window { len: 9, layers: [false, true] }),
    positions: models::Positions::Rotary { dim: 10, two_tables: true },
    ..Spec::LLAMA
};

fn blob() -> AlignedBytes {
    let tokenizer = section::encode(&SectionParts::Chars("abc".chars().collect()));
    let beside = Beside { bos: Some((7, true)), ends: &[3, 96], long_self_test: 25, ..Beside::NOTHING };
    blob_writer::write_with(&SPEC.model(1), Storage::Q8, Beside { tokenizer: &tokenizer, ..beside })
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
    assert_eq!(format.number("# The Emberlm blob, format version {} A blob is one decoder-only GPT model"), version);
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
    assert!(sections_end.is_multiple_of(16) && sections_end as u64 == head.frequencies.offset);
    let frequencies_end = (head.frequencies.offset + head.frequencies.bytes) as usize;
    assert_eq!(head.tokenizer.offset as usize, frequencies_end.next_multiple_of(SECTION_ALIGNMENT));
    assert_eq!(head.tensors.offset as usize, manifest_end.next_multiple_of(SECTION_ALIGNMENT));
    let rows = format.table("| part | from | to |");
    let bounds: Vec<&[String]> = rows.iter().map(|row| &row[1..]).collect();
    assert_eq!(
        bounds,
        [
            ["0".into(), n.to_string()],
            [n.to_string(), format!("{n} + manifest_bytes")],
            [format!("align16({n} + manifest_bytes)"), "a multiple of 16".into()],
            ["where the tensors end".into(), "where their bytes end".into()],
            ["align16 of where the frequencies end".into(), "blob_bytes - 4".into()],
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
    let Head { arithmetic, config, activations, tensors, frequencies, tokenizer } = *model.head();
    let Config { n_vocab, n_ctx, n_embd, n_layer, n_head, n_kv_head, head_dim, n_ff, norms, mlp, windows, .. } = config;
    let counts = [n_vocab, n_ctx, n_embd, n_layer, n_head, n_kv_head, head_dim, n_ff, windows.len];
    let names = ["n_vocab", "n_ctx", "n_embd", "n_layer", "n_head", "n_kv_head", "head_dim", "n_ff", "window"];
    assert_eq!(names.map(|name| fields.get(name)), counts.map(u64::from));
    assert_eq!(fields.get("arithmetic"), u64::from(arithmetic));
    assert_eq!(fields.get("epsilon of the norms"), u64::from(norms.epsilon.to_bits()));
    assert_eq!(fields.get("embedding_scale"), u64::from(config.embedding_scale.to_bits()));
    let Positions::Rotary(rotary) = config.positions else { panic!("{:?}", config.positions) };
    assert_eq!(fields.get("rotary_dim"), u64::from(rotary.dim));
    assert_eq!(fields.get("layers with a window"), windows.layers.bits());
    assert_eq!(fields.get("layers that rotate by the second table"), rotary.second.bits());
    assert_eq!(fields.get("norms"), u64::from(norms.kind == NormKind::Rms));
    assert_eq!(fields.get("places of norms"), 0b10001);
    assert_eq!(fields.get("block"), u64::from(mlp.gated));
    assert_eq!(fields.get("activation function"), u64::from(function_code(mlp.activation)));
    assert_eq!(fields.get("activations"), u64::from(stored(&activations)));
    assert_eq!(fields.all("tensors"), [tensors.offset, tensors.bytes]);
    assert_eq!(fields.all("frequencies"), [frequencies.offset, frequencies.bytes]);
    assert_eq!(fields.all("tokeniser"), [tokenizer.offset, tokenizer.bytes]);
    assert_eq!(fields.0.len(), 23);
}

fn function_code(activation: Activation) -> u8 {
    Activation::ALL.iter().position(|&other| other == activation).expect("one of all") as u8
}

#[test]
fn layers_are_patterns_that_repeat() {
    let format = format();
    let [least, most] = format.numbers("the highest that is set, `n` from {} to {}, layer `i` is one of them");
    assert_eq!((least, most), (1, Layers::MAX_PERIOD as i64));
    assert_eq!([0, 1].map(Layers::from_bits), [None; 2], "patterns of no layer at all");
    assert_eq!(format.number("The pattern of no layer is {};"), Layers::NONE.bits() as i64);
    for bits in [2, 3, 0b101, 0b1_0110, u64::MAX, 1 << 63 | 77] {
        let n = u64::BITS - 1 - u64::leading_zeros(bits);
        let layers = Layers::from_bits(bits).expect("a pattern");
        assert!((0..200).all(|layer| layers.has(layer) == (bits >> (layer % n) & 1 == 1)), "{bits:b}");
    }
}

#[test]
fn what_follows_the_head() {
    let (format, blob) = (format(), blob());
    let mut model = Model::open(Mapped::new(&blob).unwrap()).unwrap();
    let [bytes, offset] = format.numbers("**Text tokens**, {} bytes from offset {}:");
    let start = Preamble::BYTES + Head::BYTES;
    assert_eq!((bytes as usize, offset as usize), (TextTokens::BYTES, start));
    let end = start + TextTokens::BYTES;
    let fields = Fields::read("**Text tokens**", &blob, (start, end));
    let text = model.text_tokens().unwrap();
    assert_eq!(text, TextTokens { bos: 7, adds_bos: true, ends: [3, 96, NO_TOKEN, NO_TOKEN], pruned_from: 0 });
    assert_eq!(fields.get("token that texts begin with"), u64::from(text.bos));
    assert_eq!(fields.get("whether the tokeniser puts it before a text"), u64::from(text.adds_bos));
    assert_eq!(fields.all("tokens that end a text"), text.ends.map(u64::from));
    assert_eq!(fields.get("size of the vocabulary that this one was cut from"), u64::from(text.pruned_from));
    assert_eq!(format.number("A token that is \"none\" is {}."), i64::from(NO_TOKEN));

    let [bytes, offset] = format.numbers("**Long self-test**, {} bytes from offset {}:");
    assert_eq!((bytes as usize, offset as usize), (LongSelfTest::BYTES, end));
    let fields = Fields::read("**Long self-test**", &blob, (end, end + LongSelfTest::BYTES));
    let long = model.long_self_test().unwrap();
    assert_eq!((fields.get("number of tokens"), long.n_tokens), (25, 25));
    assert_eq!(fields.all("sums as in the self-test below"), long.nll_bits);
    let offset = format.number("**Tensor table**, from offset {}: a sequence");
    assert_eq!(offset as usize, end + LongSelfTest::BYTES);
}

#[test]
fn tokens_of_the_long_self_test() {
    let [shift, by, plus] =
        format().numbers("each is `floor(state / 2^{}) mod n_vocab` of the next `state = (state * {} + {}) mod 2^64`.");
    for (n_vocab, n) in [(97, 50), (50_257, 300)] {
        let mut state = 0_u64;
        for token in LongSelfTest::tokens(n_vocab).take(n) {
            state = state.wrapping_mul(by as u64).wrapping_add(plus as u64);
            assert_eq!(u64::from(token), (state >> shift) % u64::from(n_vocab));
        }
    }
}

#[test]
fn frequencies() {
    let blob = blob();
    let section = Model::open(Mapped::new(&blob).unwrap()).unwrap().head().frequencies;
    let bytes = &blob[section.offset as usize..][..section.bytes as usize];
    let stored: Vec<u64> = bytes.as_chunks().0.iter().map(|&turns| u64::from_le_bytes(turns)).collect();
    let [] = format().words("of `f` radians the integer nearest to `2^64 f / (2 pi)`.");
    let turns = SPEC.model(1).choices.turns;
    // The writer of these tests has the last layer's table first.
    let expected = [&turns[1][..], &turns[0]].concat().into_iter();
    assert!(stored.into_iter().eq(expected.map(|f| (f / TAU * 2f64.powi(64)).round() as u64)));
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
            let sizes = Config { n_vocab: 1, n_ctx: 1, n_embd: 1, n_layer: 1, n_ff: 1, ..Config::GPT2 };
            let mut config = sizes.with_heads(1);
            *field(&mut config) = value as u32;
            config.validate().is_ok()
        };
        assert_eq!([least - 1, least, most, most + 1].map(is_valid), [false, true, true, false], "{name}");
    }
}

#[test]
fn codes_of_choices() {
    let format = format();
    let [functions] = format.words("| u8 | activation function: {} |");
    assert_eq!(
        codes(&functions),
        Activation::ALL.map(|function| (function_code(function), function.name().to_owned()))
    );
    let [kinds] = format.words("| u8 | norms: {} |");
    assert_eq!(codes(&kinds), [(0, "layer norm".to_owned()), (1, "RMS norm".to_owned())]);
    let head = format.table("**Head**");
    for (bits, n) in [("places of norms, a bit each: ", 5), ("block, a bit each: ", 2)] {
        let row = head.iter().find_map(|row| row[2].strip_prefix(bits)).expect("a row for them");
        assert!(codes(row).iter().map(|(bit, _)| *bit).eq(0..n), "{row}");
    }
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
        [Kind::Chars, Kind::ByteBpe, Kind::ScoredBpe, Kind::RankedBpe].map(|k| stored(&k))
    );
}

#[test]
fn tensor_table() {
    let (format, blob) = (format(), blob());
    let [table, globals, each, bytes] =
        format.numbers("from offset {}: a sequence of `{} + {} n_layer` descriptors of {} bytes:");
    let mut model = Model::open(Mapped::new(&blob).unwrap()).unwrap();
    let config = *model.config();
    assert_eq!((globals + each * i64::from(config.n_layer)) as usize, Slot::count(&config));
    assert_eq!((each as usize, bytes as usize), (LayerSlot::ALL.len(), Descriptor::BYTES));
    // The table's length is a varint of one byte.
    let table = table as usize + 1;
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
    assert_eq!(absent, 5 + config.n_layer * 12, "all that a Llama lacks");
}

/// Whether models have a tensor, by what stands in its row.
fn presence(row: &str, config: &Config) -> Presence {
    let norms = config.norms;
    let places = [norms.before, norms.after, norms.embedding, norms.heads, norms.last];
    let norm = row.split_once(" of norm ").map(|(what, norm)| (what, places[number(&norm[..1]) as usize]));
    match (row, norm) {
        ("", _) => Presence::Required,
        ("where positions are learned", _) if config.positions == Positions::Learned => Presence::Required,
        ("where positions are learned", _) | (_, Some((_, false))) => Presence::Never,
        (_, Some(("optional shift", _))) if norms.kind == NormKind::Rms => Presence::Never,
        (_, Some(("optional scale" | "optional shift", _))) => Presence::Optional,
        (row, None) if row.starts_with("optional") => Presence::Optional,
        _ => panic!("{row} says nothing"),
    }
}

/// Configs that have each tensor, and lack it, by one choice or another.
fn configs() -> Vec<Config> {
    let sizes = Config { n_vocab: 1009, n_ctx: 503, n_embd: 101, n_layer: 4, n_ff: 307, ..Config::GPT2 };
    let sizes = Config { n_head: 6, n_kv_head: 3, head_dim: 7, ..sizes };
    let gated = Config { mlp: Mlp { gated: true, ..sizes.mlp }, ..sizes };
    let rotary = Config { positions: Positions::Rotary(Rotary { dim: 4, second: Layers::NONE }), ..sizes };
    let gpt2 = Config::GPT2.norms;
    let none = Norms { before: false, after: false, embedding: false, heads: false, last: false, ..gpt2 };
    let all = Norms { before: true, after: true, embedding: true, heads: true, last: true, ..gpt2 };
    let norms = [
        none,
        all,
        Norms { kind: NormKind::Rms, ..all },
        Norms { before: true, ..none },
        Norms { after: true, ..none },
        Norms { embedding: true, ..none },
        Norms { heads: true, ..none },
        Norms { last: true, ..none },
    ];
    [sizes, gated, rotary].into_iter().chain(norms.map(|norms| Config { norms, ..sizes })).collect()
}

#[test]
fn slots() {
    configs().iter().for_each(slots_of);
}

fn slots_of(config: &Config) {
    let format = format();
    let dimension = |word: &str| match word {
        "1" => 1,
        "n_vocab" => config.n_vocab,
        "n_ctx" => config.n_ctx,
        "n_embd" => config.n_embd,
        "head_dim" => config.head_dim,
        "q" => config.n_head * config.head_dim,
        "q + 2 kv" => (config.n_head + 2 * config.n_kv_head) * config.head_dim,
        "fc" if config.mlp.gated => 2 * config.n_ff,
        "fc" | "n_ff" => config.n_ff,
        _ => panic!("no dimension is {word}"),
    };
    let check = |row: &[String], slot: Slot, name: &str| {
        assert_eq!(row[1].split(':').next(), Some(name));
        let shape = row[2].trim_matches(['[', ']']).split_once(", ").expect("two dimensions");
        assert_eq!((dimension(shape.0), dimension(shape.1)), slot.shape(config), "{slot}");
        assert_eq!(presence(&row[3], config), slot.presence(config), "{slot} of {config:?}");
        assert_eq!(shape.0 != "1", slot.is_matrix(), "{slot}");
    };
    let globals = format.table("| slot | tensor | shape | |");
    for (row, slot) in globals.iter().zip(Slot::all(config)) {
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
fn runs_of_gates() {
    let runs = format().numbers("in runs: {} of the gate, then the {} of the hidden values that these multiply");
    assert_eq!(runs, [GATE_RUN as i64; 2]);
    assert_eq!(format().number("where `n_ff` is no multiple of {}, of the last run fewer"), GATE_RUN as i64);
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
