//! The keys of `config.json` as layouts and retellings spell them, and which of them change what a model computes.

mod names;
mod rope;
mod spans;

pub use names::*;

use super::error::CheckpointError;
use super::family::Family;
use crate::ground::files::Wanted;
use crate::ground::files::read::{self, MOST_OF_CONFIG};
use crate::ground::shown;
use emberlm_core::config::Activation;
use emberlm_core::config::{Gelu, TokenId};
use serde_json::{Map, Value};
use std::path::Path;

/// A value and the key that said it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said<T> {
    /// The key as the file spells it.
    pub key: String,
    /// Its value.
    pub value: T,
}

/// A `config.json`; the default one says nothing.
#[derive(Debug, Default)]
pub struct ConfigFile(Map<String, Value>);

fn refused(key: &str, why: impl Into<String>) -> CheckpointError {
    CheckpointError::Key { key: key.to_owned(), why: why.into() }
}

/// A value as the file spells it, cut where it is long.
fn short(value: &Value) -> String {
    shown::value(&value.to_string()).to_string()
}

/// Whether a value switches its key off.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
    }
}

impl ConfigFile {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// The file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let damaged = |path, why| CheckpointError::ConfigFile { path, why };
        let object = read::json(path, MOST_OF_CONFIG)
            .map_err(|error| Wanted::Config.explain(path, CheckpointError::of_json(error, damaged)))?;
        Ok(Self(object))
    }

    /// What says these keys, where no file does.
    pub const fn of(keys: Map<String, Value>) -> Self {
        Self(keys)
    }

    /// The family that `model_type` names; null counts as absent.
    ///
    /// # Errors
    /// It names another.
    pub fn family(&self) -> Result<Option<Family>, CheckpointError> {
        let Some(value) = self.0.get(MODEL_TYPE).filter(|value| !value.is_null()) else { return Ok(None) };
        match value.as_str().and_then(Family::named) {
            Some(family) => Ok(Some(family)),
            None => Err(refused(MODEL_TYPE, format!("{} is not supported ({})", short(value), Family::words()))),
        }
    }

    /// Refuses what the model would compute otherwise than this project, and names the keys it does not know.
    ///
    /// GPT-2's retellings have keys of their own, so that those are only named. Where other families ask for something
    /// that is not known, it is refused.
    ///
    /// # Errors
    /// The first key that changes the meaning.
    pub fn check_meaning(&self, family: Family) -> Result<Vec<&str>, CheckpointError> {
        let mut unknown = Vec::new();
        for (key, value) in &self.0 {
            let key = key.as_str();
            let fault = match names::meaning(key, family) {
                Meaning::Read | Meaning::Harmless => None,
                Meaning::Off => (!is_off(value)).then(String::new),
                Meaning::On => (*value != Value::Bool(true)).then(|| ", only true".to_owned()),
                Meaning::OneOf(words) => {
                    let is_one = value.is_null() || value.as_str().is_some_and(|text| words.contains(&text));
                    (!is_one).then(|| format!(" ({})", words.join(", ")))
                }
                Meaning::Unknown if family == Family::Gpt2 || is_off(value) => {
                    unknown.push(key);
                    None
                }
                Meaning::Unknown => {
                    let advice = "take it out of the config if it changes nothing";
                    return Err(refused(
                        key,
                        format!("{} is asked for, and the key is not known: {advice}", short(value)),
                    ));
                }
            };
            if let Some(fault) = fault {
                return Err(refused(key, format!("{} is not supported{fault}", short(value))));
            }
        }
        Ok(unknown)
    }

    /// The value of a quantity under whichever of its spellings; null counts as absent.
    fn said(&self, keys: &[&str]) -> Result<Option<Said<&Value>>, CheckpointError> {
        let mut found: Option<Said<&Value>> = None;
        for key in keys {
            let Some(value) = self.0.get(*key).filter(|value| !value.is_null()) else { continue };
            match &found {
                Some(first) if first.value != value => {
                    return Err(refused(
                        key,
                        format!("{} conflicts with `{}`, {}", short(value), first.key, short(first.value)),
                    ));
                }
                Some(_) => {}
                None => found = Some(Said { key: (*key).to_owned(), value }),
            }
        }
        Ok(found)
    }

    fn convert<T>(
        &self,
        keys: &[&str],
        need: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<Said<T>>, CheckpointError> {
        let Some(Said { key, value }) = self.said(keys)? else { return Ok(None) };
        match convert(value) {
            Some(value) => Ok(Some(Said { key, value })),
            None => Err(refused(&key, format!("{} is not {need}", short(value)))),
        }
    }

    /// A count.
    ///
    /// # Errors
    /// Two spellings disagree, or the value is no whole number below 2^32.
    pub fn count(&self, keys: &[&str]) -> Result<Option<Said<u32>>, CheckpointError> {
        self.convert(keys, "a whole number below 2^32", |value| value.as_u64()?.try_into().ok())
    }

    /// The key of a quantity whose value is null and that no other spelling says.
    pub fn null(&self, keys: &[&str]) -> Option<String> {
        let null = keys.iter().find(|key| self.0.get(**key).is_some_and(Value::is_null))?;
        let said = keys.iter().any(|key| self.0.get(*key).is_some_and(|value| !value.is_null()));
        (!said).then(|| (*null).to_owned())
    }

    /// A flag.
    ///
    /// # Errors
    /// Two spellings disagree, or the value is neither true nor false.
    pub fn flag(&self, keys: &[&str]) -> Result<Option<Said<bool>>, CheckpointError> {
        self.convert(keys, "true or false", Value::as_bool)
    }

    /// The id of the token that texts begin with; `None` where it is no id at all.
    pub fn bos(&self) -> Option<TokenId> {
        self.0.get(BOS)?.as_u64()?.try_into().ok()
    }

    /// The norms' epsilon.
    ///
    /// # Errors
    /// Two spellings disagree, or the value is no number.
    pub fn epsilon(&self) -> Result<Option<Said<f64>>, CheckpointError> {
        self.convert(EPSILON, "a number", Value::as_f64)
    }

    /// The activation function.
    ///
    /// # Errors
    /// Two spellings disagree, or the function is none of those that are known.
    pub fn activation(&self) -> Result<Option<Said<Activation>>, CheckpointError> {
        let Some(Said { key, value }) =
            self.convert(ACTIVATION, "a name", |value| value.as_str().map(str::to_owned))?
        else {
            return Ok(None);
        };
        match activation_named(&value) {
            Some(value) => Ok(Some(Said { key, value })),
            None => {
                Err(refused(&key, format!("activation `{}` is not supported ({ACTIVATIONS})", shown::value(&value))))
            }
        }
    }

    /// What attention divides its scores by the root of, where that is not `head_dim`.
    ///
    /// # Errors
    /// The value is no number above 0.
    pub fn query_scalar(&self) -> Result<Option<f64>, CheckpointError> {
        let above_0 = |value: &Value| value.as_f64().filter(|&number| number > 0.0 && number.is_finite());
        Ok(self.convert(&[QUERY_SCALAR], "a number above 0", above_0)?.map(|said| said.value))
    }

    /// Whether attention's scores are divided by the root of `head_dim`, and whether by the layer's number too.
    ///
    /// # Errors
    /// A value is neither true nor false.
    pub fn attention_scales(&self) -> Result<(bool, bool), CheckpointError> {
        let flag = |key: &str, absent: bool| match self.0.get(key) {
            None => Ok(absent),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => Err(refused(key, format!("{} is not true or false", short(value)))),
        };
        Ok((flag(SCALED, true)?, flag(BY_LAYER, false)?))
    }
}

/// The activations that configurations may name.
pub const ACTIVATIONS: &str = "gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish";

/// The activation that a configuration's word stands for.
///
/// `gelu_fast` and `gelu_accurate` are the tanh form with the constant spelled to fewer or more digits, the same in
/// f32.
pub fn activation_named(name: &str) -> Option<Activation> {
    match name {
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_tanh" | "gelu_fast" | "gelu_accurate" => {
            Some(Activation::Gelu(Gelu::Tanh))
        }
        "gelu" | "gelu_python" | "gelu_erf" => Some(Activation::Gelu(Gelu::Erf)),
        "relu" => Some(Activation::Relu),
        "silu" | "swish" => Some(Activation::Silu),
        _ => None,
    }
}

/// The name of an activation in a configuration.
pub const fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu(Gelu::Tanh) => "gelu_new",
        Activation::Gelu(Gelu::Erf) => "gelu",
        Activation::Relu => "relu",
        Activation::ReluSquared => "relu2",
        Activation::Silu => "silu",
    }
}

#[cfg(test)]
mod tests;
