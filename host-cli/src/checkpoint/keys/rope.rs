//! Rotary positions as configurations say them: a base, and a scaling of its frequencies.

use super::{ConfigFile, LOCAL_BASE, ROPE, ROPE_THETA, ROTARY_BASE, ROTARY_PART, refused, short};
use crate::checkpoint::architecture::turns;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::family::Family;
use serde_json::{Map, Value};
use std::f64::consts::TAU;

/// The base where nothing says one.
const THETA: f64 = 10_000.0;
/// The same of Gemma's layers that do not slide.
const GLOBAL_THETA: f64 = 1_000_000.0;

/// What is done to the frequencies that the base gives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scaling {
    None,
    /// All of them are divided.
    Linear {
        factor: f64,
    },
    /// The slow ones are divided, the quick ones stay, and between them is a slope.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        n_ctx: f64,
    },
}

/// What one object of a configuration says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Said {
    theta: Option<f64>,
    part: Option<f64>,
    scaling: Scaling,
}

/// Where a configuration says how a head's pairs rotate.
struct Spelled<'c> {
    /// Objects by their keys.
    objects: Vec<(String, &'c Value)>,
    /// Keys of a base beside them.
    bases: &'static [&'static str],
    /// The base where none of them says one.
    base: f64,
    /// The part of a head that rotates where nothing says it; `None` where all of it does.
    part: Option<f64>,
}

/// The layers that Gemma's nested objects are for.
const NESTED: [&str; 2] = ["full_attention", "sliding_attention"];

impl ConfigFile {
    /// The frequencies of the pairs of a head, in radians a position, and in Gemma those of layers that slide; a line in
    /// `notes` tells of a base that is assumed.
    ///
    /// # Errors
    /// A kind or a key that is not known, a value that makes no sense, two that conflict, or a frequency of a turn a
    /// position or more.
    pub fn frequencies(
        &self,
        family: Family,
        head_dim: u32,
        notes: &mut Vec<String>,
    ) -> Result<(Vec<f64>, Option<Vec<f64>>), CheckpointError> {
        let given = |key: &'static str| Some((key.to_owned(), self.0.get(key).filter(|value| !value.is_null())?));
        let plain = Spelled {
            objects: ROPE.into_iter().filter_map(given).collect(),
            bases: &[ROPE_THETA],
            base: THETA,
            part: None,
        };
        match family {
            Family::GptNeoX => {
                let bases = &[ROPE_THETA, ROTARY_BASE];
                let part = Some(family.default_rotary_part());
                Ok((self.table(&Spelled { bases, part, ..plain }, head_dim, notes)?, None))
            }
            Family::Gemma3 => {
                let [full, sliding] = self.of_both_kinds(plain);
                let sliding = self.table(&sliding, head_dim, notes)?;
                Ok((self.table(&full, head_dim, notes)?, Some(sliding)))
            }
            _ => Ok((self.table(&plain, head_dim, notes)?, None)),
        }
    }

    /// Gemma's two kinds of layers: by objects in an object, or else the sliding ones by a key of their own alone.
    fn of_both_kinds<'c>(&self, plain: Spelled<'c>) -> [Spelled<'c>; 2] {
        let nested = |kind: &str| -> Vec<(String, &'c Value)> {
            let inner = |(key, value): &(String, &'c Value)| Some((format!("{key}.{kind}"), value.get(kind)?));
            plain.objects.iter().filter_map(inner).collect()
        };
        let [full, sliding] = NESTED.map(nested);
        let is_nested = !(full.is_empty() && sliding.is_empty());
        let full = if is_nested { full } else { plain.objects };
        [
            Spelled { objects: full, base: GLOBAL_THETA, ..plain },
            Spelled { objects: sliding, bases: &[LOCAL_BASE], base: THETA, part: None },
        ]
    }

    fn table(
        &self,
        spelled: &Spelled<'_>,
        head_dim: u32,
        notes: &mut Vec<String>,
    ) -> Result<Vec<f64>, CheckpointError> {
        let mut found: Option<(&str, Said)> = None;
        for (key, value) in &spelled.objects {
            let Some(object) = value.as_object() else {
                return Err(refused(key, format!("{} is no object", short(value))));
            };
            let said = parse(key, object, spelled.part.is_some())?;
            match found {
                Some((first, other)) if other.scaling != said.scaling => {
                    return Err(refused(key, format!("conflicts with `{first}`")));
                }
                Some((first, other)) => {
                    let of = |of: fn(&Said) -> Option<f64>| {
                        agreeing(&[(first.to_owned(), of(&other)), (key.clone(), of(&said))])
                    };
                    found = Some((key, Said { theta: of(|said| said.theta)?, part: of(|said| said.part)?, ..said }));
                }
                None => found = Some((key, said)),
            }
        }
        // What objects say, and what lies beside them.
        let all = |inner: Option<f64>, name: &str, keys: &[&str]| {
            let within = found.map_or_else(String::new, |(key, _)| format!("{key}.{name}"));
            let mut all = vec![(within, inner)];
            for key in keys {
                let value = self.0.get(*key).filter(|value| !value.is_null());
                all.push(((*key).to_owned(), value.map(|value| positive(key, value)).transpose()?));
            }
            agreeing(&all)
        };
        let said = found.map_or(Said { theta: None, part: None, scaling: Scaling::None }, |(_, said)| said);
        let theta = all(said.theta, ROPE_THETA, spelled.bases)?.unwrap_or_else(|| {
            notes.push(format!("assumed default: {} {}", spelled.bases[0], spelled.base));
            spelled.base
        });
        let dim = match spelled.part {
            None => head_dim,
            Some(default) => {
                let part = all(said.part, ROTARY_PART[0], &ROTARY_PART)?.unwrap_or_else(|| {
                    notes.push(format!("assumed default: {} {default}", ROTARY_PART[1]));
                    default
                });
                let dim = (f64::from(head_dim) * part) as u32;
                if part > 1.0 || dim == 0 || !dim.is_multiple_of(2) {
                    let why = format!("{part} of a head's {head_dim} elements are no pairs that rotate");
                    return Err(refused(ROTARY_PART[0], why));
                }
                dim
            }
        };
        let pairs =
            (0..dim / 2).map(|pair| said.scaling.scaled(libm::pow(theta, -f64::from(2 * pair) / f64::from(dim))));
        let frequencies: Vec<f64> = pairs.collect();
        match frequencies.iter().find(|&&frequency| turns(frequency).is_none()) {
            Some(frequency) => {
                let key = found.map_or(spelled.bases[0], |(key, _)| key);
                Err(refused(key, format!("a pair would turn by {frequency} radians a position: a whole turn or more")))
            }
            None => Ok(frequencies),
        }
    }
}

impl Scaling {
    fn scaled(self, frequency: f64) -> f64 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 { factor, low, high, n_ctx } => {
                let turns = n_ctx * frequency / TAU;
                if turns < low {
                    frequency / factor
                } else if turns > high {
                    frequency
                } else {
                    let kept = (turns - low) / (high - low);
                    (1.0 - kept) * frequency / factor + kept * frequency
                }
            }
        }
    }
}

/// The one that is there; all of them where they are the same.
fn agreeing(all: &[(String, Option<f64>)]) -> Result<Option<f64>, CheckpointError> {
    let mut found: Option<(&str, f64)> = None;
    for (key, value) in all {
        let Some(value) = *value else { continue };
        match found {
            Some((first, other)) if other != value => {
                return Err(refused(key, format!("{value} conflicts with `{first}`, {other}")));
            }
            Some(_) => {}
            None => found = Some((key, value)),
        }
    }
    Ok(found.map(|(_, value)| value))
}

fn positive(key: &str, value: &Value) -> Result<f64, CheckpointError> {
    match value.as_f64() {
        Some(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err(refused(key, format!("{} is no number above 0", short(value)))),
    }
}

/// Reads `rope_scaling` or `rope_parameters`; every key in it has to mean something.
fn parse(key: &str, object: &Map<String, Value>, is_partial: bool) -> Result<Said, CheckpointError> {
    let path = |inner: &str| format!("{key}.{inner}");
    let given = |inner: &str| object.get(inner).filter(|value| !value.is_null());
    let (kind, kind_key) = match (given("rope_type"), given("type")) {
        (Some(kind), Some(older)) if kind != older => {
            return Err(refused(
                &path("type"),
                format!("{} conflicts with `rope_type`, {}", short(older), short(kind)),
            ));
        }
        (Some(kind), _) => (Some(kind), "rope_type"),
        (None, kind) => (kind, "type"),
    };
    let number = |inner: &str| match given(inner) {
        Some(value) => positive(&path(inner), value),
        None => Err(refused(&path(inner), "it is missing")),
    };
    const LLAMA3: [&str; 4] = ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"];
    let (scaling, own): (Scaling, &[&str]) = match kind.map(|kind| kind.as_str().ok_or(kind)) {
        None | Some(Ok("default")) => (Scaling::None, &[]),
        Some(Ok("linear")) => (Scaling::Linear { factor: number("factor")? }, &LLAMA3[..1]),
        Some(Ok("llama3")) => {
            let [factor, low, high, n_ctx] =
                [number(LLAMA3[0])?, number(LLAMA3[1])?, number(LLAMA3[2])?, number(LLAMA3[3])?];
            if low >= high {
                return Err(refused(&path(LLAMA3[2]), format!("{high} is not above `{}`, {low}", LLAMA3[1])));
            }
            (Scaling::Llama3 { factor, low, high, n_ctx }, &LLAMA3)
        }
        Some(Ok(_) | Err(_)) => {
            let kind = kind.map_or_else(String::new, short);
            return Err(refused(&path(kind_key), format!("{kind} is not supported (default, linear, llama3)")));
        }
    };
    for (inner, value) in object {
        let is_whole = inner == ROTARY_PART[0] && (is_partial || value.as_f64() == Some(1.0));
        let is_read = ["rope_type", "type", ROPE_THETA].contains(&inner.as_str()) || own.contains(&inner.as_str());
        if !is_read && !is_whole && !value.is_null() {
            return Err(refused(&path(inner), format!("{} is not supported", short(value))));
        }
    }
    let optional = |inner: &str| given(inner).map(|value| positive(&path(inner), value)).transpose();
    let part = if is_partial { optional(ROTARY_PART[0])? } else { None };
    Ok(Said { theta: optional(ROPE_THETA)?, part, scaling })
}

#[cfg(test)]
mod tests;
