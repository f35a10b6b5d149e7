//! What `torch.save` writes: a state dict, or one among the other things of a training run.
//!
//! The pickle is parsed by a crate that calls nothing of what it names: tensors and plain containers become data, and anything
//! else is refused here by its name. The tensors are read into memory, since a file may store them in any order and stride.

use super::entry::{Entry, Storage};
use super::error::CheckpointError;
use super::keys::ConfigFile;
use super::trained::{self, ENDS};
use crate::ground::shown;
use emberlm_core::config::TokenId;
use memmap2::{Mmap, MmapMut};
use pytorch_reader::{DType, PickleValue, PytorchReader, Tensor};
use safetensors::Dtype;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;

/// Where training programs keep the state dict, the likeliest first.
const STATE_DICTS: [&str; 5] = ["model", "state_dict", "model_state_dict", "model_state", "module"];

/// Where nanoGPT and llama2.c's training keep the model's shape.
const MODEL_ARGS: &str = "model_args";

/// What a file's tensors may take together in memory, as a multiple of its length: what is shared is counted for each.
const MOST_OF_FILE: u64 = 4;

/// A file's state dict.
#[derive(Debug)]
pub struct Contents {
    /// Every tensor's bytes.
    pub map: Mmap,
    pub entries: Vec<Entry>,
    /// What the file says of the model beside it.
    pub config: Option<ConfigFile>,
    /// The tokens that end a text wherever a model is of that program.
    pub ends: Option<[TokenId; 2]>,
}

/// Reads the file at `path`.
///
/// # Errors
/// It cannot be read, is damaged, holds what is neither a tensor nor plain data, has no state dict, or its tensors take more
/// memory than there is or than a file of its length can ask for.
pub fn read(path: &Path) -> Result<Contents, CheckpointError> {
    let damaged = |why: String| CheckpointError::Torch { path: path.to_owned(), why };
    let of_crate = |error: pytorch_reader::PytorchError| damaged(error.to_string());
    let PickleValue::Dict(root) = PytorchReader::read_pickle_data(path, None).map_err(of_crate)? else {
        return Err(damaged("holds no state dict: save `model.state_dict()`".to_owned()));
    };
    check_plain(&mut Vec::new(), &root).map_err(damaged)?;
    let key = state_dict(&root).map_err(damaged)?;
    let reader = match key {
        Some(key) => PytorchReader::with_top_level_key(path, key),
        None => PytorchReader::new(path),
    };
    let mut tensors: Vec<Tensor> = reader.map_err(of_crate)?.into_tensors().into_values().collect();
    if key.is_none() {
        // What lies deeper is an optimiser's.
        tensors.retain(|tensor| is_tensor(root.get(&tensor.name)));
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let io = |error: &std::io::Error| damaged(error.to_string());
    let file = std::fs::metadata(path).map_err(|error| io(&error))?.len();
    let bytes = tensors.iter().try_fold(0usize, |sum, tensor| sum.checked_add(tensor.byte_len()));
    let bytes = bytes.filter(|&bytes| bytes as u64 <= file.saturating_mul(MOST_OF_FILE)).ok_or_else(|| {
        damaged(format!("its tensors are more than {MOST_OF_FILE} times as long as its {file} bytes"))
    })?;
    // No map is empty.
    let mut map = MmapMut::map_anon(bytes.max(1)).map_err(|error| io(&error))?;
    let (mut entries, mut end) = (Vec::new(), 0);
    for tensor in tensors {
        let start = end;
        end += tensor.byte_len();
        let read = tensor.read().map_err(|error| io(&error))?;
        map[start..end].copy_from_slice(&read);
        if cfg!(target_endian = "big") {
            map[start..end].chunks_exact_mut(tensor.dtype().size()).for_each(<[u8]>::reverse);
        }
        let storage = Storage::Plain(dtype(tensor.dtype()));
        entries.push(Entry { shape: tensor.shape().to_vec(), storage, bytes: start..end, name: tensor.name });
    }
    let map = map.make_read_only().map_err(|error| io(&error))?;
    let args = model_args(&root);
    let is_llama2c = args.as_ref().is_some_and(trained::is_training);
    let config = args.map(|args| ConfigFile::of(if is_llama2c { trained::in_words(args) } else { args }));
    Ok(Contents { map, entries, config, ends: is_llama2c.then_some(ENDS) })
}

type Dict = HashMap<String, PickleValue>;

fn is_tensor(value: Option<&PickleValue>) -> bool {
    matches!(value, Some(PickleValue::Unsupported(name)) if name == "torch.Tensor")
}

fn has_tensors(dict: &Dict) -> bool {
    dict.values().any(|value| is_tensor(Some(value)))
}

/// The key of the state dict, `None` where it is the file's root.
fn state_dict(root: &Dict) -> Result<Option<&str>, String> {
    let mut within: Vec<&str> = root
        .iter()
        .filter(|(_, value)| matches!(value, PickleValue::Dict(dict) if has_tensors(dict)))
        .map(|(key, _)| key.as_str())
        .collect();
    within.sort_unstable();
    if let Some(key) = STATE_DICTS.into_iter().find(|key| within.contains(key)) {
        return Ok(Some(key));
    }
    match within.as_slice() {
        _ if has_tensors(root) => Ok(None),
        [only] => Ok(Some(only)),
        [] => Err("holds no state dict: save `model.state_dict()`".to_owned()),
        several => Err(format!(
            "holds several state dicts ({}): save the one that is meant, alone or as `model`",
            several.iter().map(|key| shown::value(key).to_string()).collect::<Vec<_>>().join(", ")
        )),
    }
}

/// Refuses the first thing that is neither a tensor nor plain data.
fn check_plain<'a>(place: &mut Vec<&'a str>, dict: &'a Dict) -> Result<(), String> {
    let mut keys: Vec<&String> = dict.keys().collect();
    keys.sort_unstable();
    for key in keys {
        place.push(key);
        check_value(place, &dict[key])?;
        place.pop();
    }
    Ok(())
}

fn check_value<'a>(place: &mut Vec<&'a str>, value: &'a PickleValue) -> Result<(), String> {
    match value {
        PickleValue::Dict(dict) => check_plain(place, dict),
        PickleValue::List(values) => values.iter().try_for_each(|value| check_value(place, value)),
        PickleValue::Unsupported(name) if !is_plain(name) => Err(format!(
            "`{}` is of {}, and nothing in a file is run to make it: save `model.state_dict()` alone",
            shown::value(&place.join(".")),
            shown::value(name)
        )),
        _ => Ok(()),
    }
}

/// Whether a value of that Python type is a tensor, or says something of tensors.
fn is_plain(name: &str) -> bool {
    const NAMES: [&str; 4] = ["int", "torch.Tensor", "torch.Size", "torch.device"];
    // Types of elements are named alone: `torch.float32`.
    const DTYPES: [&str; 5] = ["torch.float", "torch.bfloat16", "torch.int", "torch.uint", "torch.bool"];
    NAMES.contains(&name)
        || DTYPES
            .iter()
            .any(|dtype| name.strip_prefix(dtype).is_some_and(|bits| bits.bytes().all(|byte| byte.is_ascii_digit())))
}

/// The model's shape, where the file says it.
fn model_args(root: &Dict) -> Option<Map<String, Value>> {
    let PickleValue::Dict(args) = root.get(MODEL_ARGS)? else { return None };
    Some(args.iter().filter_map(|(key, value)| Some((key.clone(), json(value)?))).collect())
}

/// Plain data as JSON has it; `None` for what it has not.
fn json(value: &PickleValue) -> Option<Value> {
    match value {
        PickleValue::None => Some(Value::Null),
        PickleValue::Bool(value) => Some((*value).into()),
        PickleValue::Int(value) => Some((*value).into()),
        // Of no number JSON knows the infinite ones.
        PickleValue::Float(value) => serde_json::Number::from_f64(*value).map(Value::Number),
        PickleValue::String(value) => Some(value.as_str().into()),
        PickleValue::List(values) => values.iter().map(json).collect(),
        PickleValue::Dict(values) => values
            .iter()
            .map(|(key, value)| Some((key.clone(), json(value)?)))
            .collect::<Option<Map<_, _>>>()
            .map(Value::Object),
        PickleValue::Bytes(_) | PickleValue::Unsupported(_) => None,
    }
}

/// The type as safetensors has it.
const fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor() -> PickleValue {
        PickleValue::Unsupported("torch.Tensor".to_owned())
    }

    fn dict<const N: usize>(items: [(&str, PickleValue); N]) -> Dict {
        items.map(|(key, value)| (key.to_owned(), value)).into()
    }

    fn weights() -> PickleValue {
        PickleValue::Dict(dict([("wte.weight", tensor())]))
    }

    #[test]
    fn a_state_dict_is_the_files_root_or_lies_where_training_puts_it() {
        let key = |root: Dict| state_dict(&root).map(|key| key.map(str::to_owned));
        let of = |key: &str| Ok(Some(key.to_owned()));
        assert_eq!(key(dict([("wte.weight", tensor()), ("epoch", PickleValue::Int(3))])), Ok(None));
        // A loss may be a tensor too, and means are weights that nobody asked for.
        assert_eq!(key(dict([("best_val_loss", tensor()), ("model", weights()), ("ema", weights())])), of("model"));
        assert_eq!(key(dict([("weights", weights()), ("epoch", PickleValue::Int(3))])), of("weights"));
        let several = key(dict([("teacher", weights()), ("student", weights())])).unwrap_err();
        assert!(several.contains("several state dicts (student, teacher)"), "{several}");
        assert!(key(dict([("epoch", PickleValue::Int(3))])).unwrap_err().contains("no state dict"));
    }

    #[test]
    fn types_of_tensors_are_plain_and_no_others_are() {
        for name in
            ["torch.Tensor", "torch.float32", "torch.bfloat16", "torch.bool", "torch.Size", "torch.device", "int"]
        {
            assert!(is_plain(name), "{name}");
        }
        for name in
            ["posix.system", "torch.load", "torch.float32.x", "torch.nn.Linear", "numpy.dtype", "torch.hub.load"]
        {
            assert!(!is_plain(name), "{name}");
        }
        let within = dict([("args", PickleValue::List(vec![PickleValue::Unsupported("a.B".to_owned())]))]);
        let message = check_plain(&mut Vec::new(), &within).unwrap_err();
        assert!(message.starts_with("`args` is of a.B"), "{message}");
    }

    #[test]
    fn plain_data_becomes_a_configuration() {
        let args = PickleValue::Dict(dict([
            ("n_layer", PickleValue::Int(2)),
            ("bias", PickleValue::Bool(true)),
            ("dropout", PickleValue::Float(0.5)),
            ("bad", PickleValue::Float(f64::NAN)),
        ]));
        let value = json(&args);
        assert_eq!(value, None);
        let found = model_args(&dict([(MODEL_ARGS, args)])).expect("arguments");
        assert_eq!(Value::Object(found), serde_json::json!({"n_layer": 2, "bias": true, "dropout": 0.5}));
    }
}
