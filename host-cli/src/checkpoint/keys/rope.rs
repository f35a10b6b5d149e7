//! Rotary positions as configurations say them: a base, and a scaling of its frequencies.

use super::{ConfigFile, ROPE, ROPE_THETA, refused, short};
use crate::checkpoint::architecture::turns;
use crate::checkpoint::error::CheckpointError;
use serde_json::{Map, Value};
use std::f64::consts::TAU;

/// The base where nothing says one.
const THETA: f64 = 10_000.0;

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
    scaling: Scaling,
}

impl ConfigFile {
    /// The frequencies of the pairs of a head, in radians a position; a line in `notes` tells of a base that is assumed.
    ///
    /// # Errors
    /// A kind or a key that is not known, a value that makes no sense, two that conflict, or a frequency of a turn a
    /// position or more.
    pub fn frequencies(&self, head_dim: u32, notes: &mut Vec<String>) -> Result<Vec<f64>, CheckpointError> {
        let mut found: Option<(&str, Said)> = None;
        for key in ROPE {
            let Some(value) = self.0.get(key).filter(|value| !value.is_null()) else { continue };
            let Some(object) = value.as_object() else {
                return Err(refused(key, format!("{} is no object", short(value))));
            };
            let said = parse(key, object)?;
            match found {
                Some((first, other)) if other.scaling != said.scaling => {
                    return Err(refused(key, format!("conflicts with `{first}`")));
                }
                Some((first, other)) => {
                    let theta = agreeing((first.to_owned(), other.theta), (key.to_owned(), said.theta))?;
                    found = Some((key, Said { theta, ..said }));
                }
                None => found = Some((key, said)),
            }
        }
        let outer = self.0.get(ROPE_THETA).filter(|value| !value.is_null());
        let outer = outer.map(|value| positive(ROPE_THETA, value)).transpose()?;
        let (inner, scaling) = found.map_or((None, Scaling::None), |(_, said)| (said.theta, said.scaling));
        let within = found.map_or_else(String::new, |(key, _)| format!("{key}.{ROPE_THETA}"));
        let theta = agreeing((within, inner), (ROPE_THETA.to_owned(), outer))?;
        let theta = theta.unwrap_or_else(|| {
            notes.push(format!("assumed default: {ROPE_THETA} {THETA}"));
            THETA
        });
        let pairs =
            (0..head_dim / 2).map(|pair| scaling.scaled(libm::pow(theta, -f64::from(2 * pair) / f64::from(head_dim))));
        let frequencies: Vec<f64> = pairs.collect();
        match frequencies.iter().find(|&&frequency| turns(frequency).is_none()) {
            Some(frequency) => {
                let key = found.map_or(ROPE_THETA, |(key, _)| key);
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

/// The one of two that is there; both where they are the same.
fn agreeing(a: (String, Option<f64>), b: (String, Option<f64>)) -> Result<Option<f64>, CheckpointError> {
    match (a, b) {
        ((first, Some(x)), (key, Some(y))) if x != y => {
            Err(refused(&key, format!("{y} conflicts with `{first}`, {x}")))
        }
        ((_, x), (_, y)) => Ok(x.or(y)),
    }
}

fn positive(key: &str, value: &Value) -> Result<f64, CheckpointError> {
    match value.as_f64() {
        Some(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err(refused(key, format!("{} is no number above 0", short(value)))),
    }
}

/// Reads `rope_scaling` or `rope_parameters`; every key in it has to mean something.
fn parse(key: &str, object: &Map<String, Value>) -> Result<Said, CheckpointError> {
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
        let is_whole = inner == "partial_rotary_factor" && value.as_f64() == Some(1.0);
        let is_read = ["rope_type", "type", ROPE_THETA].contains(&inner.as_str()) || own.contains(&inner.as_str());
        if !is_read && !is_whole && !value.is_null() {
            return Err(refused(&path(inner), format!("{} is not supported", short(value))));
        }
    }
    Ok(Said { theta: given(ROPE_THETA).map(|value| positive(&path(ROPE_THETA), value)).transpose()?, scaling })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn frequencies(value: Value, head_dim: u32) -> Result<Vec<f64>, String> {
        let file = ConfigFile(value.as_object().unwrap().clone());
        file.frequencies(head_dim, &mut Vec::new()).map_err(|error| error.to_string())
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn bases_are_spelled_in_old_ways_and_new_ones() {
        let expected = [1.0, 0.1, 0.01, 0.001];
        let mut notes = Vec::new();
        close(&ConfigFile::default().frequencies(8, &mut notes).unwrap(), &expected);
        assert_eq!(notes, ["assumed default: rope_theta 10000"]);
        for spelled in [
            json!({"rope_theta": 10000}),
            json!({"rope_theta": 1e4, "rope_scaling": null}),
            json!({"rope_parameters": {"rope_theta": 1e4}}),
            json!({"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}}),
            json!({"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}, "rope_theta": 1e4}),
            json!({"rope_scaling": {"type": "default"}, "rope_parameters": {"rope_theta": 1e4}}),
            json!({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 1.0}}),
        ] {
            close(&frequencies(spelled, 8).unwrap(), &expected);
        }
        close(&frequencies(json!({"rope_theta": 81.0}), 4).unwrap(), &[1.0, 1.0 / 9.0]);
    }

    #[test]
    fn scalings_divide_all_or_the_slow_ones() {
        for spelled in [
            json!({"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 4.0}}),
            json!({"rope_theta": 1e4, "rope_scaling": {"rope_type": "linear", "type": "linear", "factor": 4}}),
            json!({"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}),
        ] {
            close(&frequencies(spelled, 8).unwrap(), &[0.25, 0.025, 0.0025, 0.00025]);
        }
        // Of 64 positions the first pair turns 10.2 times, the second 1.02 times, the third a tenth of once.
        let llama3 = json!({"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 0.5,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64});
        let kept = (64.0 * 0.1 / TAU - 0.5) / 3.5;
        let expected = [1.0, (1.0 - kept) * 0.1 / 8.0 + kept * 0.1, 0.01 / 8.0, 0.001 / 8.0];
        close(&frequencies(json!({ "rope_parameters": llama3 }), 8).unwrap(), &expected);
    }

    #[test]
    fn what_is_not_known_or_makes_no_sense_is_refused_by_its_key() {
        let llama3 = |key: &str, value: Value| {
            let mut llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64});
            llama3[key] = value;
            json!({ "rope_scaling": llama3 })
        };
        let cases = [
            (json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}), "rope_scaling.rope_type"),
            (json!({"rope_scaling": {"type": "dynamic", "factor": 4.0}}), "rope_scaling.type"),
            (json!({"rope_parameters": {"rope_type": "longrope"}}), "rope_parameters.rope_type"),
            (json!({"rope_scaling": {"type": "linear", "rope_type": "llama3"}}), "rope_scaling.type"),
            (json!({"rope_scaling": {"type": 3}}), "rope_scaling.type"),
            (json!({"rope_scaling": {"type": "linear"}}), "rope_scaling.factor"),
            (json!({"rope_scaling": {"type": "linear", "factor": 0}}), "rope_scaling.factor"),
            (json!({"rope_scaling": {"type": "linear", "factor": "2"}}), "rope_scaling.factor"),
            (json!({"rope_scaling": {"type": "linear", "factor": 2, "beta_fast": 32}}), "rope_scaling.beta_fast"),
            (json!({"rope_scaling": {"factor": 2}}), "rope_scaling.factor"),
            (json!({"rope_parameters": {"partial_rotary_factor": 0.5}}), "rope_parameters.partial_rotary_factor"),
            (json!({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}), "rope_parameters.full_attention"),
            (json!({"rope_scaling": [1]}), "rope_scaling"),
            (json!({"rope_theta": 0}), "rope_theta"),
            (json!({"rope_theta": -1e4}), "rope_theta"),
            (json!({"rope_theta": "10000"}), "rope_theta"),
            (json!({"rope_theta": 5e5, "rope_parameters": {"rope_theta": 1e4}}), "rope_theta"),
            (json!({"rope_scaling": {"rope_theta": 5e5}, "rope_parameters": {"rope_theta": 1e4}}), "rope_parameters"),
            (
                json!({"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_theta": 1e4}}),
                "rope_parameters",
            ),
            (llama3("high_freq_factor", json!(1.0)), "rope_scaling.high_freq_factor"),
            (llama3("original_max_position_embeddings", Value::Null), "rope_scaling.original_max_position_embeddings"),
            (llama3("attention_factor", json!(1.2)), "rope_scaling.attention_factor"),
        ];
        for (value, key) in cases {
            let error = frequencies(value.clone(), 8).unwrap_err();
            assert!(error.starts_with(&format!("config key `{key}`: ")), "{value}: {error}");
        }
    }

    #[test]
    fn a_turn_a_position_is_refused_and_a_little_less_is_not() {
        let linear = |factor: f64| {
            frequencies(json!({"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": factor}}), 8)
        };
        assert!(linear(1.001 / TAU).is_ok());
        for factor in [1.0 / TAU, 0.999 / TAU, 1e-300] {
            let error = linear(factor).unwrap_err();
            assert!(error.starts_with("config key `rope_scaling`: ") && error.contains("a whole turn"), "{error}");
        }
        let error = frequencies(json!({"rope_theta": 1e-4}), 8).unwrap_err();
        assert!(error.starts_with("config key `rope_theta`: "), "{error}");
    }
}
