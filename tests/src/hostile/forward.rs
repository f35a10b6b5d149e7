//! Models of any shape, with any bytes for weights: whatever they come to, every way through the core comes to it.

use arbitrary::{Result, Unstructured};
use emberlm::engine::kernel::HostKernel;
use emberlm_core::config::TokenId;
use emberlm_core::generate::{Generation, WhenFull};
use emberlm_core::kernel::{Kernel, Portable};
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::model::Model;
use emberlm_core::sample::{Sampler, Settings};
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::session::Session;
use emberlm_core::source::Mapped;

use crate::aligned::AlignedBytes;
use crate::blob_writer::{self, write_checksums};
use crate::models::{Biases, NormPlaces, Positions, Spec, Window};
use crate::oracle::Activation;
use crate::passes::{self, Memory, PassError, Way, Weights};
use crate::quantised::{Activations, Storage};

/// A shape, what its tensors hold, and what passes through it.
pub fn run(data: &[u8]) -> bool {
    any(&mut Unstructured::new(data)).unwrap_or(false)
}

fn any(u: &mut Unstructured<'_>) -> Result<bool> {
    let spec = spec(u)?;
    let (storage, activations) = (*u.choose(&Storage::ALL)?, *u.choose(&Activations::ALL)?);
    let kv_type = *u.choose(&KvType::ALL)?;
    let n_tokens = u.int_in_range(2..=spec.n_ctx + 1)?;
    let (batch, step) = (u.int_in_range(1..=17)?, u.int_in_range(1..=200)?);
    let settings = settings(u)?;
    let mut blob = blob_writer::write_for(&spec.model(u.arbitrary::<u8>()?.into()), storage, activations, &[]);
    let tokens = spec.tokens(n_tokens, u.arbitrary::<u8>()?.into());
    overwrite(&mut blob, u)?;

    let nll = |way, is_portable| match is_portable {
        true => bits(&blob, Portable, &tokens, Way { kv_type, ..way }),
        false => bits(&blob, HostKernel::detect(), &tokens, Way { kv_type, ..way }),
    };
    let expected = nll(Way { tokens_a_call: 1, batch: 1, ..Way::PLAIN }, true);
    let weights = Weights::Through256;
    assert_eq!(nll(Way { batch, ..Way::PLAIN }, false), expected, "at once, by the host's kernel");
    let way = Way { weights, memory: Memory::OneLayer, batch, step: Some(step), ..Way::PLAIN };
    assert_eq!(nll(way, true), expected, "layer by layer, through a small buffer");
    generate(&blob, &tokens[..1], settings);
    Ok(expected.is_ok())
}

fn bits(blob: &[u8], kernel: impl Kernel, tokens: &[TokenId], way: Way) -> std::result::Result<Vec<u32>, PassError> {
    let nll = passes::nll(blob, kernel, tokens, way)?;
    assert!(nll.iter().all(|nll| *nll >= 0.0), "{nll:?}");
    Ok(nll.into_iter().map(f32::to_bits).collect())
}

fn spec(u: &mut Unstructured<'_>) -> Result<Spec> {
    let n_kv_head = u.int_in_range(1..=3)?;
    let n_head = n_kv_head * u.int_in_range(1..=3)?;
    let head_dim = u.int_in_range(1..=12)?;
    let rotary = head_dim >= 2 && u.arbitrary()?;
    let window = match u.arbitrary()? {
        true => {
            let layers = *u.choose(&[[true, true], [true, false], [false, true]])?;
            Some(Window { len: u.int_in_range(1..=40)?, layers })
        }
        false => None,
    };
    let [qkv, attn_proj, fc, mlp_proj, layer_norm, head] = u.arbitrary()?;
    let [before, after, embedding, heads, last] = u.arbitrary()?;
    Ok(Spec {
        n_vocab: u.int_in_range(1..=20)?,
        // More than a block of attention.
        n_ctx: u.int_in_range(1..=36)?,
        n_embd: if u.arbitrary()? { n_head * head_dim } else { u.int_in_range(1..=40)? },
        n_head,
        n_kv_head: Some(n_kv_head),
        head_dim: Some(head_dim),
        n_layer: u.int_in_range(1..=2)?,
        n_ff: u.int_in_range(1..=70)?,
        biases: Biases { qkv, attn_proj, fc, mlp_proj, layer_norm, head },
        untied: u.arbitrary()?,
        activation: *u.choose(&Activation::ALL)?,
        gated: u.arbitrary()?,
        positions: match rotary {
            true => Positions::Rotary { dim: 2 * u.int_in_range(1..=head_dim / 2)?, two_tables: u.arbitrary()? },
            false => Positions::Learned,
        },
        window,
        rms_norm: u.arbitrary()?,
        norm_scales: u.arbitrary()?,
        norm_places: NormPlaces { before, after, embedding, heads, last },
        epsilon: *u.choose(&[1e-5, 0.0, 1e-45, 1.0, f32::MAX])?,
        parallel: u.arbitrary()?,
        embedding_scale: *u.choose(&[1.0, 1.0, 6.5, 1e-30, f32::MAX])?,
    })
}

fn settings(u: &mut Unstructured<'_>) -> Result<Settings> {
    Ok(Settings {
        temperature: *u.choose(&[0.0, 0.001, 0.8, 1.0, 1000.0])?,
        top_k: *u.choose(&[None, Some(1), Some(3), Some(128)])?,
        top_p: *u.choose(&[0.0, 1e-30, 0.9, 1.0])?,
        min_p: *u.choose(&[0.0, 1e-30, 0.1, 1.0])?,
        repeat_penalty: *u.choose(&[0.1, 1.0, 1.3, 10.0])?,
        seed: u.arbitrary::<u8>()?.into(),
    })
}

/// Puts runs of a word's bytes anywhere in the tensors.
fn overwrite(blob: &mut AlignedBytes, u: &mut Unstructured<'_>) -> Result<()> {
    let start = {
        let model = Model::open(Mapped::new(blob).expect("an aligned blob")).expect("a sound blob");
        model.head().tensors.offset as usize
    };
    let end = blob.len() - 4;
    while !u.is_empty() {
        let at = start + u.choose_index(end - start)?;
        let (word, n): ([u8; 4], u8) = u.arbitrary()?;
        let run = &mut blob[at..end.min(at + usize::from(n) + 1)];
        run.iter_mut().zip(word.iter().cycle()).for_each(|(place, byte)| *place = *byte);
    }
    write_checksums(blob);
    Ok(())
}

/// Writes a few tokens more than the context holds.
fn generate(blob: &[u8], prompt: &[TokenId], settings: Settings) {
    let model = Model::open(Mapped::new(blob).expect("an aligned blob")).expect("a sound blob");
    let (config, batch) = (*model.config(), Batch::of(2));
    let n_ctx = config.n_ctx as usize;
    let size = KvSize::new(KvType::F32, n_ctx, batch.batch);
    let mut words = vec![0; size.words(&config)];
    let need = ScratchSize::new(&config, batch);
    let (mut floats, mut scratch_words) = (vec![0.0; need.floats], vec![0; need.words]);
    let kv = KvCache::whole(size, &config, &mut words).expect("as much as asked for");
    let scratch = Scratch::new(&config, batch, &mut floats, &mut scratch_words).expect("as much as asked for");
    let mut session = Session::new(model, Portable, kv, scratch).expect("parts that fit");
    let sampler = Sampler::new(settings).expect("settings in their ranges");
    let when_full = if n_ctx > 1 { WhenFull::Slide(1) } else { WhenFull::Stop };
    let mut context = vec![0; n_ctx];
    let mut text = Generation::new(&mut session, sampler, &mut context, when_full).expect("as much as asked for");
    text.append(prompt).expect("a token of the model");
    for _ in 0..n_ctx + 2 {
        match text.next_token() {
            Ok(Some(drawn)) => assert!(drawn.token < config.n_vocab && drawn.nll >= 0.0, "{drawn:?}"),
            Ok(None) | Err(_) => return,
        }
    }
}
