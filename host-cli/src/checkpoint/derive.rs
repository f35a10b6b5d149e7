//! A model's architecture, from the shapes of its tensors and what `config.json` says, which must agree.

use super::architecture::{Architecture, is_optional};
use super::archive::Archive;
use super::error::CheckpointError;
use super::family::Family;
use super::fold::Folding;
use super::heads::{self, Heads};
use super::keys::{self, ConfigFile, Said};
use super::layout::{DetectedLayout, Layout, Names};
use super::shapes::{agree, matrix};
use crate::ground::shown;
use emberlm_core::blob::{LayerSlot, Slot};
use emberlm_core::config::{Activation, Config, Layers, Mlp, Norms, Positions, Rotary};

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
        norms: Norms { kind: family.norm(), epsilon, ..Config::GPT2.norms },
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
    let (positions, frequencies) = if family.is_llama_like() {
        let rotary = Rotary { dim: head_dim, second: Layers::NONE };
        (Positions::Rotary(rotary), vec![said.frequencies(head_dim, notes)?])
    } else {
        (Positions::Learned, Vec::new())
    };
    let windows = said.windows(family, n_layer, notes)?;
    let config = Config { n_head, n_kv_head, head_dim, positions, windows, ..sizes };
    config.validate()?;
    let architecture = Architecture { config, frequencies, tied: false };
    let (scaled, by_layer) = match family {
        Family::Gpt2 => said.attention_scales()?,
        Family::GptNeo => (false, false),
        Family::Llama | Family::Mistral => (true, false),
    };
    Ok((architecture, Folding { scaled, by_layer, pairs: names.map().rotary_pairs }))
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
        Layout::Map(_) => family.is_llama_like() == of_names.is_llama_like(),
        _ => family == of_names || (family.is_llama_like() && of_names.is_llama_like()),
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
    if !family.is_llama_like() {
        let [n_ctx, _] = matrix(archive, names, Slot::Wpe)?;
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
                return Err(CheckpointError::Disagree { key, value: value.to_string(), tensor, have });
            }
        }
        Ok(())
    };
    if family.is_llama_like() {
        // Silence is a no: these families have biases only where they say so.
        let said = |key: &[&str]| {
            let silent = || Said { key: key[0].to_owned(), value: false };
            Ok::<_, CheckpointError>(Some(said.flag(key)?.unwrap_or_else(silent)))
        };
        let attention = [LayerSlot::AttnQkvBias, LayerSlot::AttnProjBias];
        check(said(keys::ATTENTION_BIAS)?, &of_block(&attention))?;
        return check(said(keys::MLP_BIAS)?, &of_block(&[LayerSlot::FcBias, LayerSlot::MlpProjBias]));
    }
    let block_biases = LayerSlot::ALL.map(|slot| Slot::Layer(0, slot)).into_iter().filter(|&slot| is_optional(slot));
    let every_bias: Vec<Slot> = [Slot::LnFBias].into_iter().chain(block_biases).collect();
    check(if layout.layout == Layout::NanoGpt { said.flag(keys::BIAS)? } else { None }, &every_bias)?;
    check(said.flag(keys::QKV_BIAS)?, &of_block(&[LayerSlot::AttnQkvBias]))
}
