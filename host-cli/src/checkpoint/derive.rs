//! A model's architecture, from the shapes of its tensors and what `config.json` says, which must agree.

use super::architecture::{Architecture, is_norm_weight, is_optional};
use super::archive::Archive;
use super::error::CheckpointError;
use super::family::Family;
use super::fold::Folding;
use super::heads::{self, Heads};
use super::keys::{self, ConfigFile, Said};
use super::layout::{DetectedLayout, Layout, Names};
use super::name_map::QkvRows;
use super::shapes::{agree, matrix};
use crate::ground::shown;
use emberlm_core::blob::{LayerSlot, Presence, Slot};
use emberlm_core::config::{Activation, Config, Layers, Mlp, Norms, Positions, Rotary, Windows};

/// Works out the architecture, and what has to be folded into the weights for it to hold.
///
/// Sizes come from the shapes; what the file says of them must agree. The number of heads, the activation and epsilon
/// are in no shape: the first must be said, the others are the layout's where nothing is said, and a line in `notes`
/// tells of it. So are a context without rows of its own, a rotary base and a window.
///
/// # Errors
/// A key that changes the meaning, is missing, malformed or disagrees with a shape, or a tensor without the shape that
/// sizes are read from.
pub fn architecture(
    archive: &Archive,
    names: &Names,
    layout: &DetectedLayout,
    file: Option<&ConfigFile>,
    n_head: Option<u32>,
    notes: &mut Vec<String>,
) -> Result<(Architecture, Folding), CheckpointError> {
    let empty = ConfigFile::default();
    let said = file.unwrap_or(&empty);
    let family = family(said, names, layout, notes)?;
    let unknown = said.check_meaning(family)?;
    if !unknown.is_empty() {
        notes.push(format!("config keys not known, ignored: {}", shown::list(unknown.into_iter())));
    }
    let activation = activation(said, names, layout, notes)?;
    let epsilon = epsilon(said, names, layout, notes)?;

    let [n_vocab, n_embd] = matrix(archive, names, Slot::Wte)?;
    let n_ctx = context(archive, names, family, said, notes)?;
    agree(said.count(keys::EMBEDDING_WIDTH)?, &n_embd)?;
    let [mut n_ff, _] = matrix(archive, names, Slot::Layer(0, LayerSlot::FcWeight))?;
    let mlp = Mlp { activation, gated: family.is_llama_like() };
    if mlp.gated && names.place(Slot::Layer(0, LayerSlot::FcWeight)).is_some_and(|place| place.names.len() == 1) {
        n_ff.value /= 2;
    }
    agree(said.count(keys::N_VOCAB)?, &n_vocab)?;
    agree(said.count(keys::N_EMBD)?, &n_embd)?;
    agree(said.count(keys::N_FF)?, &n_ff)?;
    if let Some(key) = said.null(keys::N_FF).filter(|_| !mlp.gated) {
        agree(Some(Said { key, value: n_embd.value.saturating_mul(4) }), &n_ff)?;
    }
    let n_layer = blocks(archive, names, said.count(keys::N_LAYER)?)?;
    let n_head = asked_heads(said.count(keys::N_HEAD)?, n_head, file.is_some())?;
    let sizes = Config {
        n_vocab: n_vocab.value,
        n_ctx,
        n_embd: n_embd.value,
        n_layer,
        n_ff: n_ff.value,
        norms: Norms { epsilon, ..names.map().norms(family) },
        mlp,
        ..Config::GPT2
    };
    // Heads are checked apart, with what the file calls them.
    sizes.with_heads(1).validate()?;
    let Heads { n_kv_head, head_dim } = if family.is_llama_like() {
        heads::free(archive, names, said, n_head, n_embd.value)?
    } else {
        heads::dividing(said, n_head, n_embd.value)?
    };
    check_biases(archive, names, layout, family, said)?;
    let windows = said.windows(family, n_layer, notes)?;
    let (positions, frequencies) = if family.is_rotary() {
        rotary(said, family, head_dim, windows, notes)?
    } else {
        (Positions::Learned, Vec::new())
    };
    let parallel = match said.flag(keys::PARALLEL)?.filter(|_| family == Family::GptNeoX) {
        Some(said) => said.value,
        None => names.map().parallel.unwrap_or(family == Family::GptNeoX),
    };
    let embedding_scale = if family == Family::Gemma3 { f64::from(n_embd.value).sqrt() as f32 } else { 1.0 };
    let config = Config { n_head, n_kv_head, head_dim, positions, windows, parallel, embedding_scale, ..sizes };
    config.validate()?;
    check_norms(names, family, &config)?;
    if names.map().qkv_rows == QkvRows::ByHead && n_kv_head != n_head {
        let why = format!("{n_kv_head} is not supported where rows of queries, keys and values lie by head");
        return Err(CheckpointError::Key { key: keys::N_KV_HEAD[0].to_owned(), why });
    }
    let architecture = Architecture { config, frequencies, tied: false };
    let (scaled, by_layer) = match family {
        Family::Gpt2 => said.attention_scales()?,
        family => (family != Family::GptNeo, false),
    };
    let map = names.map();
    let folding = Folding {
        scaled,
        scalar: if family == Family::Gemma3 { Some(said.query_scalar()?.unwrap_or(GEMMAS_SCALAR)) } else { None },
        by_layer,
        pairs: map.rotary_pairs,
        qkv: map.qkv_rows,
        head_norms: config.norms.heads,
        norm_offset: map.norm_offset,
        position_offset: map.position_offset as usize,
    };
    if config.norms.heads
        && folding.query_scale(0, head_dim).is_some()
        && names.place(Slot::Layer(0, LayerSlot::QNormWeight)).is_none()
    {
        let why = format!("`{}` scales scores otherwise than norms of queries without weights can take", family.name());
        return Err(CheckpointError::Key { key: keys::MODEL_TYPE.to_owned(), why });
    }
    Ok((architecture, folding))
}

/// Norms that have weights have them under a name.
fn check_norms(names: &Names, family: Family, config: &Config) -> Result<(), CheckpointError> {
    let one_layer = Config { n_layer: 1, ..*config };
    let lacks = |&slot: &Slot| is_norm_weight(slot) && names.place(slot).is_none();
    let is_there = |slot: &Slot| slot.presence(&one_layer) != Presence::Never;
    match Slot::all(&one_layer).filter(is_there).find(lacks) {
        Some(slot) if names.map().norms_scale(family) => {
            let why = format!("`{}` has {slot}, which the layout does not name", family.name());
            Err(CheckpointError::Key { key: keys::MODEL_TYPE.to_owned(), why })
        }
        _ => Ok(()),
    }
}

/// What Gemma's attention divides its scores by the root of, where nothing says it.
const GEMMAS_SCALAR: f64 = 256.0;

/// How positions rotate: by one table, or in Gemma, where layers slide and others do not, by one for each kind.
fn rotary(
    said: &ConfigFile,
    family: Family,
    head_dim: u32,
    windows: Windows,
    notes: &mut Vec<String>,
) -> Result<(Positions, Vec<Vec<f64>>), CheckpointError> {
    let (full, sliding) = said.frequencies(family, head_dim, notes)?;
    let dim = 2 * full.len() as u32;
    let (second, frequencies) = match sliding {
        Some(sliding) if windows.len != 0 && sliding != full => (windows.layers, vec![full, sliding]),
        _ => (Layers::NONE, vec![full]),
    };
    Ok((Positions::Rotary(Rotary { dim, second }), frequencies))
}

/// The family that the configuration names, which must be one that the layout's names fit, or else the layout's.
fn family(
    said: &ConfigFile,
    names: &Names,
    layout: &DetectedLayout,
    notes: &mut Vec<String>,
) -> Result<Family, CheckpointError> {
    let of_names = names.map().family().expect("a parsed map names a family");
    let fits = |family: Family| match layout.layout {
        Layout::Map(_) => {
            family.is_llama_like() == of_names.is_llama_like() && family.is_rotary() == of_names.is_rotary()
        }
        _ => family.has_names_of(of_names),
    };
    match said.family()? {
        Some(family) if fits(family) => Ok(family),
        Some(family) => {
            let why = format!("`{}` does not have the tensors of layout {}", family.name(), layout.layout);
            Err(CheckpointError::Key { key: keys::MODEL_TYPE.to_owned(), why })
        }
        None => {
            if of_names != Family::Gpt2 {
                notes.push(format!("assumed default of layout {}: model_type {}", layout.layout, of_names.name()));
            }
            Ok(of_names)
        }
    }
}

/// The positions that the model knows: as many as have rows, or as the file says.
fn context(
    archive: &Archive,
    names: &Names,
    family: Family,
    said: &ConfigFile,
    notes: &mut Vec<String>,
) -> Result<u32, CheckpointError> {
    let said = said.count(keys::N_CTX)?;
    if !family.is_rotary() {
        let [mut n_ctx, _] = matrix(archive, names, Slot::Wpe)?;
        n_ctx.value = n_ctx.value.saturating_sub(names.map().position_offset);
        agree(said, &n_ctx)?;
        return Ok(n_ctx.value);
    }
    Ok(said.map_or_else(
        || {
            let n_ctx = family.default_n_ctx();
            notes.push(format!("assumed default: max_position_embeddings {n_ctx}"));
            n_ctx
        },
        |said| said.value,
    ))
}

/// The number of blocks; what the file says must be what is there.
fn blocks(archive: &Archive, names: &Names, said: Option<Said<u32>>) -> Result<u32, CheckpointError> {
    let last = names.last_block(archive);
    let n_layer = last.map_or(0, |(layer, _)| layer.saturating_add(1));
    let Some(Said { key, value }) = said.filter(|said| said.value != n_layer) else { return Ok(n_layer) };
    match last {
        Some((_, tensor)) if value < n_layer => {
            let (tensor, have) = (tensor.to_owned(), "is there".to_owned());
            Err(CheckpointError::Disagree { key, value: value.to_string(), tensor, have })
        }
        _ => {
            let place = names.place(Slot::Layer(n_layer, LayerSlot::Ln1Weight)).expect("required tensors are mapped");
            let hint = format!(", and `{key}` is {value}");
            Err(CheckpointError::Missing { tensor: place.names[0].clone(), hint })
        }
    }
}

fn asked_heads(said: Option<Said<u32>>, asked: Option<u32>, has_file: bool) -> Result<u32, CheckpointError> {
    match (said, asked) {
        (Some(Said { key, value }), Some(asked)) if value != asked => {
            Err(CheckpointError::Key { key, why: format!("{value}, but {asked} heads are asked for") })
        }
        (Some(Said { value, .. }), _) => Ok(value),
        (None, Some(asked)) => Ok(asked),
        (None, None) => {
            let where_from = if has_file { "the config does not say it" } else { "there is no config.json" };
            let why = format!("{where_from}, and no shape shows it: pass --config FILE or --n-head N");
            Err(CheckpointError::MissingKey { key: "n_head", why })
        }
    }
}

fn activation(
    said: &ConfigFile,
    names: &Names,
    layout: &DetectedLayout,
    notes: &mut Vec<String>,
) -> Result<Activation, CheckpointError> {
    if let Some(Said { value, .. }) = said.activation()? {
        return Ok(value);
    }
    let Some(name) = &names.map().defaults.activation_function else {
        let why = "neither the config nor the name map says it".to_owned();
        return Err(CheckpointError::MissingKey { key: "activation_function", why });
    };
    notes.push(format!("assumed default of layout {}: activation_function {}", layout.layout, shown::value(name)));
    keys::activation_named(name).ok_or_else(|| CheckpointError::Key {
        key: "activation_function".to_owned(),
        why: format!("the name map's `{}` is not supported ({})", shown::value(name), keys::ACTIVATIONS),
    })
}

fn epsilon(
    said: &ConfigFile,
    names: &Names,
    layout: &DetectedLayout,
    notes: &mut Vec<String>,
) -> Result<f32, CheckpointError> {
    if let Some(Said { value, .. }) = said.epsilon()? {
        return Ok(value as f32);
    }
    let Some(value) = names.map().defaults.layer_norm_epsilon else {
        let why = "neither the config nor the name map says it".to_owned();
        return Err(CheckpointError::MissingKey { key: "layer_norm_epsilon", why });
    };
    notes.push(format!("assumed default of layout {}: layer_norm_epsilon {value:e}", layout.layout));
    Ok(value as f32)
}

/// Holds what is said of biases against the tensors that are there.
fn check_biases(
    archive: &Archive,
    names: &Names,
    layout: &DetectedLayout,
    family: Family,
    said: &ConfigFile,
) -> Result<(), CheckpointError> {
    let of_block = |slots: &[LayerSlot]| slots.iter().map(|&slot| Slot::Layer(0, slot)).collect::<Vec<_>>();
    let check = |said: Option<Said<bool>>, slots: &[Slot]| {
        let Some(Said { key, value }) = said else { return Ok(()) };
        for place in slots.iter().filter_map(|slot| names.place(*slot)) {
            let tensor = place.names.into_iter().next().expect("a place has a name");
            let present = archive.get(&tensor).is_some();
            if present != value {
                let have = if present { "is present" } else { "is absent" }.to_owned();
                // What is in no key is in the family.
                let value = if key == keys::MODEL_TYPE { family.name().to_owned() } else { value.to_string() };
                return Err(CheckpointError::Disagree { key, value, tensor, have });
            }
        }
        Ok(())
    };
    let always = |value: bool| Some(Said { key: keys::MODEL_TYPE.to_owned(), value });
    // What silence means.
    let said_or = |key: &[&str], silent: bool| {
        let silent = || Said { key: key[0].to_owned(), value: silent };
        Ok::<_, CheckpointError>(Some(said.flag(key)?.unwrap_or_else(silent)))
    };
    let (qkv, proj) = (of_block(&[LayerSlot::AttnQkvBias]), of_block(&[LayerSlot::AttnProjBias]));
    let attention = [&qkv[..], &proj].concat();
    let mlp = of_block(&[LayerSlot::FcBias, LayerSlot::MlpProjBias]);
    match family {
        Family::Qwen2 => {
            check(always(true), &qkv)?;
            check(always(false), &[proj, mlp].concat())
        }
        family if family.is_llama_like() => {
            check(said_or(keys::ATTENTION_BIAS, false)?, &attention)?;
            check(said_or(keys::MLP_BIAS, false)?, &mlp)
        }
        Family::GptNeoX => check(said_or(keys::ATTENTION_BIAS, true)?, &attention),
        Family::Opt => check(said_or(keys::ENABLE_BIAS, true)?, &[attention, mlp].concat()),
        _ => {
            let biases = LayerSlot::ALL.map(|slot| Slot::Layer(0, slot)).into_iter().filter(|&slot| is_optional(slot));
            let every_bias: Vec<Slot> = [Slot::LnFBias].into_iter().chain(biases).collect();
            check(if layout.layout == Layout::NanoGpt { said.flag(keys::BIAS)? } else { None }, &every_bias)?;
            check(said.flag(keys::QKV_BIAS)?, &qkv)
        }
    }
}
