//! A model's configuration, from the shapes of its tensors and what `config.json` says, which must agree.

use super::archive::Archive;
use super::error::CheckpointError;
use super::keys::{self, ConfigFile, Said};
use super::layout::{DetectedLayout, Layout, Names};
use super::name_map::Orientation;
use crate::ground::shown;
use emberlm_core::blob::{LayerSlot, Slot};
use emberlm_core::config::{Config, Gelu};

/// A size that a tensor's shape gives.
struct Seen {
    tensor: String,
    value: u32,
}

/// Works out the configuration.
///
/// Sizes come from the shapes; what the file says of them must agree. The number of heads, the activation and epsilon
/// are in no shape: the first must be said, the others are the layout's where nothing is said, and a line in `notes`
/// tells of it.
///
/// # Errors
/// A key that changes the meaning, is missing, malformed or disagrees with a shape, or a tensor without the shape that
/// sizes are read from.
pub fn config(
    archive: &Archive,
    names: &Names,
    layout: &DetectedLayout,
    file: Option<&ConfigFile>,
    n_head: Option<u32>,
    notes: &mut Vec<String>,
) -> Result<Config, CheckpointError> {
    let empty = ConfigFile::default();
    let said = file.unwrap_or(&empty);
    let unknown = said.check_meaning()?;
    if !unknown.is_empty() {
        notes.push(format!("config keys not known, ignored: {}", shown::list(unknown.into_iter())));
    }
    let gelu = gelu(said, names, layout, notes)?;
    let layer_norm_epsilon = epsilon(said, names, layout, notes)?;

    let [n_vocab, n_embd] = matrix(archive, names, Slot::Wte)?;
    let [n_ctx, _] = matrix(archive, names, Slot::Wpe)?;
    let [n_ff, _] = matrix(archive, names, Slot::Layer(0, LayerSlot::FcWeight))?;
    agree(said.count(keys::N_VOCAB)?, &n_vocab)?;
    agree(said.count(keys::N_CTX)?, &n_ctx)?;
    agree(said.count(keys::N_EMBD)?, &n_embd)?;
    agree(said.count(keys::N_FF)?, &n_ff)?;
    if let Some(key) = said.null(keys::N_FF) {
        agree(Some(Said { key, value: n_embd.value.saturating_mul(4) }), &n_ff)?;
    }
    let n_layer = blocks(archive, names, said.count(keys::N_LAYER)?)?;
    let n_head = heads(said.count(keys::N_HEAD)?, n_head, file.is_some())?;
    let config = Config {
        n_vocab: n_vocab.value,
        n_ctx: n_ctx.value,
        n_embd: n_embd.value,
        n_head,
        n_layer,
        n_ff: n_ff.value,
        layer_norm_epsilon,
        gelu,
    };
    config.validate()?;
    for (said, need) in [(said.count(keys::N_KV_HEAD)?, n_head), (said.count(keys::HEAD_DIM)?, n_embd.value / n_head)] {
        if let Some(Said { key, value }) = said.filter(|said| said.value != need) {
            return Err(CheckpointError::Key { key, why: format!("{value} is not supported, only {need}") });
        }
    }
    check_biases(archive, names, layout, said)?;
    Ok(config)
}

/// The rows and columns of a matrix in canonical orientation.
fn matrix(archive: &Archive, names: &Names, slot: Slot) -> Result<[Seen; 2], CheckpointError> {
    let place = names.place(slot).expect("required tensors are mapped");
    let tensor = place.names.into_iter().next().expect("a place has a name");
    let Some(raw) = archive.get(&tensor) else {
        return Err(CheckpointError::Missing { tensor, hint: String::new() });
    };
    let &[outer, inner] = raw.shape else {
        return Err(CheckpointError::Shape { tensor, need: "two dimensions".to_owned(), have: raw.shape.to_vec() });
    };
    let (rows, cols) = if place.orientation == Orientation::InOut { (inner, outer) } else { (outer, inner) };
    let seen = |value: usize| Seen { tensor: tensor.clone(), value: value.try_into().unwrap_or(u32::MAX) };
    Ok([seen(rows), seen(cols)])
}

fn agree(said: Option<Said<u32>>, seen: &Seen) -> Result<(), CheckpointError> {
    match said {
        Some(Said { key, value }) if value != seen.value => Err(CheckpointError::Disagree {
            key,
            value: value.to_string(),
            tensor: seen.tensor.clone(),
            have: format!("says {}", seen.value),
        }),
        _ => Ok(()),
    }
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

fn heads(said: Option<Said<u32>>, asked: Option<u32>, has_file: bool) -> Result<u32, CheckpointError> {
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

fn gelu(
    said: &ConfigFile,
    names: &Names,
    layout: &DetectedLayout,
    notes: &mut Vec<String>,
) -> Result<Gelu, CheckpointError> {
    if let Some(Said { value, .. }) = said.gelu()? {
        return Ok(value);
    }
    let Some(name) = &names.map().defaults.activation_function else {
        let why = "neither the config nor the name map says it".to_owned();
        return Err(CheckpointError::MissingKey { key: "activation_function", why });
    };
    notes.push(format!("assumed default of layout {}: activation_function {}", layout.layout, shown::value(name)));
    keys::gelu_named(name).ok_or_else(|| CheckpointError::Key {
        key: "activation_function".to_owned(),
        why: format!("the name map's `{}` is not supported (gelu_new, gelu)", shown::value(name)),
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

/// Holds `qkv_bias`, and nanoGPT's `bias`, against the tensors that are there.
fn check_biases(
    archive: &Archive,
    names: &Names,
    layout: &DetectedLayout,
    said: &ConfigFile,
) -> Result<(), CheckpointError> {
    let block_biases = LayerSlot::ALL.map(|slot| Slot::Layer(0, slot)).into_iter().filter(|slot| slot.is_optional());
    let every_bias: Vec<Slot> = [Slot::LnFBias].into_iter().chain(block_biases).collect();
    let qkv = [Slot::Layer(0, LayerSlot::AttnQkvBias)];
    let bias = if layout.layout == Layout::NanoGpt { said.flag(keys::BIAS)? } else { None };
    for (said, slots) in [(bias, every_bias.as_slice()), (said.flag(keys::QKV_BIAS)?, &qkv)] {
        let Some(Said { key, value }) = said else { continue };
        for place in slots.iter().filter_map(|slot| names.place(*slot)) {
            let tensor = place.names.into_iter().next().expect("a place has a name");
            let present = archive.get(&tensor).is_some();
            if present != value {
                let have = if present { "is present" } else { "is absent" }.to_owned();
                return Err(CheckpointError::Disagree { key, value: value.to_string(), tensor, have });
            }
        }
    }
    Ok(())
}
