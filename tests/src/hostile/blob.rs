//! Blobs of any bytes.

use emberlm::text::tokenizer::byte_pairs::BytePairs;
use emberlm::text::tokenizer::{SectionParts, Tokenizer, section};
use emberlm_core::blob::{ARITHMETIC, FORMAT_VERSION, Slot};
use emberlm_core::config::TokenId;
use emberlm_core::format::Format;
use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::score::run_self_test;
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::session::Session;
use emberlm_core::source::{Aligned, Copying, Mapped, ReadError, Source};
use emberlm_core::tokenizer::Decoder;

use crate::aligned::AlignedBytes;
use crate::blob_writer::{self, Beside, write_checksums};
use crate::blobs;
use crate::models::{Biases, NormPlaces, Positions, Spec, Window};
use crate::oracle::Activation;
use crate::passes::{self, Memory, PassError, Way};
use crate::quantised::Storage;

/// All that a blob can hold, and little of it: every bias, a head of its own, a row with a second group.
pub const SPEC: Spec = Spec {
    n_vocab: 9,
    n_ctx: 4,
    n_embd: 4,
    n_head: 2,
    n_layer: 1,
    n_ff: 65,
    biases: Biases { head: true, ..Biases::GPT2 },
    untied: true,
    ..Spec::SMALL
};

/// What GPT-2 has not, and little of it: pairs that turn by two tables, heads that share, a window, gates of which the last
/// run is shorter.
pub const FAMILY: Spec = Spec {
    n_vocab: 9,
    n_ctx: 4,
    n_embd: 3,
    n_head: 2,
    n_kv_head: Some(1),
    head_dim: Some(4),
    n_layer: 2,
    n_ff: 9,
    biases: Biases::NONE,
    positions: Positions::Rotary { dim: 4, two_tables: true },
    window: Some(Window { len: 2, layers: [true, false] }),
    activation: Activation::Silu,
    gated: true,
    rms_norm: true,
    ..Spec::SMALL
};

/// What that has not either, and little of it: norms wherever they can be, a scaled embedding, attention beside the MLP.
pub const NORMS: Spec = Spec {
    n_layer: 1,
    biases: Biases::GPT2,
    window: None,
    activation: Activation::Relu,
    gated: false,
    rms_norm: false,
    norm_places: NormPlaces { before: true, after: true, embedding: true, heads: true, last: true },
    parallel: true,
    embedding_scale: 2.5,
    ..FAMILY
};

/// What is scored: ids of the smallest vocabularies too, modulo their size.
const TOKENS: [TokenId; 5] = [3, 1, 8, 0, 5];

/// Some of them only one kind of tokeniser can encode, the last one none.
pub const TEXTS: [&str; 5] = ["", "ab abc\nab", "abc<|end|>a", "aé𝄞x", "zzz\u{0}"];

/// No blob is shorter: a preamble and a version of the arithmetic.
const LEAST_BYTES: usize = 32;

fn characters() -> SectionParts {
    SectionParts::Chars("abcé\n𝄞 x".chars().collect())
}

fn byte_pairs() -> SectionParts {
    let tokens = ["a", "b", "c", " ", "\n", "ab", "abc", " a", "<|end|>"].map(|token| token.as_bytes().to_vec());
    let merges = vec![(0, 1), (5, 2), (3, 0)];
    SectionParts::BytePairs(BytePairs::new(tokens.to_vec(), merges, vec![8]).expect("sound byte pairs"))
}

/// The same model in both formats, with both kinds of tokeniser; and two of other families.
pub fn sound_blobs() -> [(&'static str, AlignedBytes); 5] {
    let model = SPEC.model(1);
    let beside = Beside { bos: Some((1, true)), ends: &[2, 8], long_self_test: 5, ..Beside::NOTHING };
    [
        ("q8, characters", blobs::of_model(&model, Format::Q8, Some(characters()))),
        ("q8, byte pairs", blobs::of_model(&model, Format::Q8, Some(byte_pairs()))),
        ("f32, no tokeniser", blobs::of_model(&model, Format::F32, None)),
        ("q8, norms everywhere", blob_writer::write_with(&NORMS.model(1), Storage::Q8, Beside::NOTHING)),
        ("q6, another family", blob_writer::write_with(&FAMILY.model(1), Storage::Q6, beside)),
    ]
}

/// A blob behind a byte of flags: 1 leaves its numbers and checksums as they are, where they are otherwise made right.
pub fn run(data: &[u8]) -> bool {
    let Some((&flags, bytes)) = data.split_first() else { return false };
    let mut blob = AlignedBytes::new(bytes);
    if flags & 1 == 0 && blob.len() >= LEAST_BYTES {
        repair(&mut blob);
    }
    walk(&blob);
    use_blob(&blob, [usize::MAX; 2])
}

/// Makes right what any reader refuses at once: magic, versions, length, checksums.
pub fn repair(blob: &mut [u8]) {
    blob[..8].copy_from_slice(b"EMBERLM\0");
    blob[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let bytes = blob.len() as u64;
    blob[14..22].copy_from_slice(&bytes.to_le_bytes());
    blob[26..28].copy_from_slice(&ARITHMETIC.to_le_bytes());
    write_checksums(blob);
}

/// Asks an opened model for all that it has, and runs its self-test.
pub fn walk(blob: &AlignedBytes) {
    let Ok(mut model) = Model::open(mapped(blob)) else { return };
    assert!(model.blob_bytes() <= blob.len());
    assert_eq!(model.head().config, *model.config());
    model.crc32().expect("memory can be read");
    let config = *model.config();
    for slot in Slot::all(&config) {
        let Some(tensor) = model.tensor(slot).expect("memory can be read") else { continue };
        assert_eq!((tensor.rows as u32, tensor.cols as u32), slot.shape(&config));
        let end = tensor.rows.checked_mul(tensor.stride).and_then(|bytes| tensor.offset.checked_add(bytes));
        assert!(end.is_some_and(|end| end <= model.blob_bytes()), "{slot}: {tensor:?}");
    }
    model.text_tokens().expect("memory can be read");
    model.long_self_test().expect("memory can be read");
    let self_test = model.self_test().expect("it was there when the blob was opened");
    assert!(self_test.tokens.iter().all(|&token| token < config.n_vocab));

    let (n_ctx, batch) = (self_test.tokens.len() - 1, Batch::of(self_test.tokens.len() - 1));
    let size = KvSize::new(KvType::I8, n_ctx, n_ctx);
    let mut words = vec![0; size.largest_layer_words(&config)];
    let need = ScratchSize::new(&config, batch);
    let (mut floats, mut scratch_words) = (vec![0.0; need.floats], vec![0; need.words]);
    let kv = KvCache::one_layer(size, &config, &mut words).expect("as much as asked for");
    let scratch = Scratch::new(&config, batch, &mut floats, &mut scratch_words).expect("as much as asked for");
    let mut session = Session::new(model, Portable, kv, scratch).expect("parts that fit");
    // Passed, failed or an error: all that counts is that it comes to an end.
    let _ = run_self_test(&mut session, &mut [CrossEntropy::new(0); 3]);
}

/// A source that vouches for its reader: no read outside the blob, and no more reads than allowed.
struct Watched<S> {
    source: S,
    reads_left: usize,
}

impl<S: Source> Source for Watched<S> {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn max_read(&self) -> usize {
        self.source.max_read()
    }

    fn read(&mut self, offset: usize, len: usize) -> Result<&[u8], ReadError> {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.source.len()), "{len} bytes from {offset}");
        self.reads_left = self.reads_left.checked_sub(1).expect("an end to the reads");
        self.source.read(offset, len)
    }
}

/// Opens the blob, checks it whole, and scores a window: how many reads that took, or why it ended early.
fn score<S: Source>(source: S, max_reads: usize) -> Result<usize, PassError> {
    let mut source = Watched { source, reads_left: max_reads };
    let mut model = Model::open(&mut source).map_err(PassError::Open)?;
    model.verify_sections().and_then(|()| model.self_test()).map_err(PassError::Open)?;
    let tokens = TOKENS.map(|token| token % model.config().n_vocab);
    let mut sinks: Vec<_> = tokens[1..].iter().map(|&target| CrossEntropy::new(target)).collect();
    let way = Way { memory: Memory::OneLayer, batch: 3, step: Some(1), ..Way::PLAIN };
    passes::through(&mut source, Portable, &tokens[..4], &mut sinks, way)?;
    for sink in sinks {
        let nll = sink.nll().map_err(PassError::Logit)?.expect("the head pushed every logit");
        assert!(!nll.is_nan());
    }
    Ok(max_reads - source.reads_left)
}

/// The reads that a window takes of a blob in memory.
///
/// # Errors
/// The blob or the pass is refused.
pub fn score_mapped(blob: &AlignedBytes, max_reads: usize) -> Result<usize, PassError> {
    score(mapped(blob), max_reads)
}

/// The reads that a window takes of a blob through the smallest buffer.
///
/// # Errors
/// The blob or the pass is refused.
pub fn score_copying(blob: &AlignedBytes, max_reads: usize) -> Result<usize, PassError> {
    let mut buffer = Aligned([0; 256]);
    score(Copying::new(&blob[..], &mut buffer.0).expect("a buffer"), max_reads)
}

/// Reads all of the tokeniser, and where it makes one, turns text to ids and back.
pub fn tokenise(blob: &AlignedBytes) {
    let Ok(model) = Model::open(mapped(blob)) else { return };
    let Ok(Some(in_place)) = model.tokenizer() else { return };
    let bytes = |id| in_place.token_bytes(id, &mut [0; 4]).map(<[u8]>::to_vec);
    assert!((0..in_place.n_tokens()).all(|id| bytes(id).is_some()));
    assert_eq!(bytes(in_place.n_tokens()), None);
    assert_eq!(bytes(TokenId::MAX), None);
    for text in TEXTS {
        let mut ids = [0; 32];
        let Ok(n) = in_place.encode(text, &mut ids) else { continue };
        let (mut decoder, mut decoded) = (Decoder::new(in_place), String::new());
        assert!(ids[..n].iter().all(|&id| decoder.push(id, &mut decoded) == Ok(())));
        assert_eq!(decoded, text);
    }
    let Ok(parts) = section::parts(&in_place) else { return };
    let Ok(tokenizer) = Tokenizer::from_parts(parts, "a blob") else { return };
    for text in TEXTS {
        if let Ok(ids) = tokenizer.encode(text) {
            assert_eq!(tokenizer.decode(&ids).as_deref(), Ok(text));
        }
    }
    let _ = tokenizer.decode(&(0..in_place.n_tokens() + 2).collect::<Vec<_>>());
}

/// Everything that a blob is opened for; whether it came to a number.
pub fn use_blob(blob: &AlignedBytes, max_reads: [usize; 2]) -> bool {
    tokenise(blob);
    let mapped = score_mapped(blob, max_reads[0]);
    let copying = score_copying(blob, max_reads[1]);
    assert_eq!(mapped.is_ok(), copying.is_ok(), "{mapped:?} mapped, {copying:?} copied");
    mapped.is_ok()
}

fn mapped(blob: &AlignedBytes) -> Mapped<'_> {
    Mapped::new(blob).expect("an aligned blob")
}
