//! What queries see, by layer, as configurations say it.

use super::{
    ATTENTION_LAYERS, ATTENTION_TYPES, ConfigFile, LAYER_TYPES, MAX_WINDOW_LAYERS, SLIDING_WINDOW, USE_SLIDING_WINDOW,
    WINDOW_PATTERN, WINDOW_SIZE, refused, short,
};
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::family::Family;
use emberlm_core::config::{Layers, Windows};
use serde_json::Value;

/// What a query sees of the positions up to its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// All of them.
    All,
    /// So many, its own included.
    Window(u32),
}

/// Positions that local attention sees where nothing says it.
const WINDOW: u32 = 256;
/// The same where layers slide.
const SLIDING: u32 = 4096;
/// Qwen's first layer that does, where nothing says it.
const FIRST_SLIDING: u32 = 28;
/// Of as many of Gemma's layers the last one does not, where nothing says it.
const PATTERN: u32 = 6;

impl Span {
    const fn window(self) -> Option<u32> {
        match self {
            Self::All => None,
            Self::Window(window) => Some(window),
        }
    }
}

impl ConfigFile {
    /// What the queries of a family's layers see; a line in `notes` tells of a window that is assumed.
    ///
    /// # Errors
    /// A key is malformed, or does not say as many layers as there are, or two of them conflict.
    pub fn windows(&self, family: Family, n_layer: u32, notes: &mut Vec<String>) -> Result<Windows, CheckpointError> {
        let spans = self.spans(family, n_layer, notes)?;
        let Some(len) = spans.iter().find_map(|span| span.window()) else { return Ok(Windows::NONE) };
        let seen: Vec<bool> = spans.iter().map(|span| span.window().is_some()).collect();
        // The shortest pattern that the layers repeat.
        let repeats = |period: &usize| (0..seen.len()).all(|layer| seen[layer] == seen[layer % period]);
        let period = (1..=Layers::MAX_PERIOD).find(repeats).ok_or_else(|| {
            let why = format!("a pattern of more than {} layers is not supported", Layers::MAX_PERIOD);
            refused(if family == Family::GptNeo { ATTENTION_LAYERS } else { LAYER_TYPES }, why)
        })?;
        Ok(Windows { layers: Layers::repeating(&seen[..period.min(seen.len())]), len })
    }

    /// For each layer, or where there are fewer for those that repeat.
    fn spans(&self, family: Family, n_layer: u32, notes: &mut Vec<String>) -> Result<Vec<Span>, CheckpointError> {
        match family {
            Family::Gpt2 | Family::Opt | Family::MicroGpt | Family::GptNeoX => Ok(vec![Span::All]),
            Family::GptNeo => self.global_and_local(n_layer, notes),
            Family::Llama => self.agreeing_with_types(Span::All, n_layer),
            Family::Mistral => {
                let span = self.sliding(notes)?;
                self.agreeing_with_types(span, n_layer)
            }
            Family::Qwen2 | Family::Qwen3 => {
                let is_used = self.flag(&[USE_SLIDING_WINDOW])?.is_some_and(|said| said.value);
                let span = if is_used { self.sliding(notes)? } else { Span::All };
                let first = self.count(&[MAX_WINDOW_LAYERS])?.map_or(FIRST_SLIDING, |said| said.value);
                match self.by_types(span, n_layer)? {
                    Some(spans) => Ok(spans),
                    None if first >= n_layer || span == Span::All => Ok(vec![Span::All]),
                    None => Ok((0..n_layer).map(|layer| if layer < first { Span::All } else { span }).collect()),
                }
            }
            Family::Gemma3 => {
                let span = self.sliding(notes)?;
                let pattern = match self.count(&WINDOW_PATTERN)? {
                    Some(said) if said.value == 0 => return Err(refused(&said.key, "0 layers are no pattern")),
                    said => said.map_or(PATTERN, |said| said.value),
                };
                match self.by_types(span, n_layer)? {
                    Some(spans) => Ok(spans),
                    None if n_layer < pattern => Ok(vec![span]),
                    None => Ok((1..=pattern).map(|layer| if layer == pattern { Span::All } else { span }).collect()),
                }
            }
        }
    }

    /// For each layer that slides this span, where `layer_types` is there.
    fn by_types(&self, sliding: Span, n_layer: u32) -> Result<Option<Vec<Span>>, CheckpointError> {
        let Some(value) = self.present(LAYER_TYPES) else { return Ok(None) };
        let words = words(LAYER_TYPES, value)?;
        check_count(LAYER_TYPES, words.len(), n_layer)?;
        let span = |(layer, word): (usize, &&str)| match (*word, sliding) {
            ("full_attention", _) => Ok(Span::All),
            ("sliding_attention", Span::Window(_)) => Ok(sliding),
            ("sliding_attention", Span::All) => {
                Err(refused(LAYER_TYPES, format!("layer {layer} is to slide, and no window is in use")))
            }
            (other, _) => Err(refused(
                LAYER_TYPES,
                format!("{} is not supported (full_attention, sliding_attention)", short(&other.into())),
            )),
        };
        words.iter().enumerate().map(span).collect::<Result<_, _>>().map(Some)
    }

    fn present(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// A window that is no empty one.
    fn window(&self, key: &str) -> Result<Option<u32>, CheckpointError> {
        match self.count(&[key])? {
            Some(said) if said.value == 0 => Err(refused(key, "0 positions are no window")),
            said => Ok(said.map(|said| said.value)),
        }
    }

    /// `attention_layers`, or `attention_types` written out, which must agree.
    fn global_and_local(&self, n_layer: u32, notes: &mut Vec<String>) -> Result<Vec<Span>, CheckpointError> {
        let listed = self.present(ATTENTION_LAYERS).map(|value| words(ATTENTION_LAYERS, value)).transpose()?;
        let repeated = self.present(ATTENTION_TYPES).map(|value| self.written_out(value, n_layer)).transpose()?;
        let (key, words) = match (listed, repeated) {
            (Some(listed), Some(repeated)) if listed != repeated => {
                return Err(refused(ATTENTION_LAYERS, format!("it conflicts with `{ATTENTION_TYPES}`")));
            }
            (Some(listed), _) => (ATTENTION_LAYERS, listed),
            (None, Some(repeated)) => (ATTENTION_TYPES, repeated),
            (None, None) => {
                let why = format!("neither it nor `{ATTENTION_TYPES}` is in the config");
                return Err(CheckpointError::MissingKey { key: ATTENTION_LAYERS, why });
            }
        };
        check_count(key, words.len(), n_layer)?;
        let window = self.window(WINDOW_SIZE)?;
        if window.is_none() && words.contains(&"local") {
            notes.push(format!("assumed default: {WINDOW_SIZE} {WINDOW}"));
        }
        let span = |word: &&str| match *word {
            "global" => Ok(Span::All),
            "local" => Ok(Span::Window(window.unwrap_or(WINDOW))),
            other => Err(refused(key, format!("{} is not supported (global, local)", short(&other.into())))),
        };
        words.iter().map(span).collect()
    }

    /// `[[["global", "local"], 2]]` as four words.
    fn written_out<'v>(&self, value: &'v Value, n_layer: u32) -> Result<Vec<&'v str>, CheckpointError> {
        let malformed = || refused(ATTENTION_TYPES, format!("{} is no list of lists and counts", short(value)));
        let mut all = Vec::new();
        for entry in value.as_array().ok_or_else(malformed)? {
            let [kinds, count] = entry.as_array().map_or(&[][..], Vec::as_slice) else { return Err(malformed()) };
            let (kinds, count) = (words(ATTENTION_TYPES, kinds)?, count.as_u64().ok_or_else(malformed)?);
            let n = (kinds.len() as u64).saturating_mul(count).saturating_add(all.len() as u64);
            check_most(ATTENTION_TYPES, n, n_layer)?;
            // A list of none may be repeated without end.
            (0..if kinds.is_empty() { 0 } else { count }).for_each(|_| all.extend_from_slice(&kinds));
        }
        Ok(all)
    }

    fn sliding(&self, notes: &mut Vec<String>) -> Result<Span, CheckpointError> {
        let is_used = self.flag(&[USE_SLIDING_WINDOW])?.is_none_or(|said| said.value);
        Ok(match self.window(SLIDING_WINDOW)? {
            _ if !is_used => Span::All,
            Some(window) => Span::Window(window),
            None if self.0.contains_key(SLIDING_WINDOW) => Span::All,
            None => {
                notes.push(format!("assumed default: {SLIDING_WINDOW} {SLIDING}"));
                Span::Window(SLIDING)
            }
        })
    }

    /// One span for all layers, which `layer_types` must call so where it is there.
    fn agreeing_with_types(&self, span: Span, n_layer: u32) -> Result<Vec<Span>, CheckpointError> {
        let Some(value) = self.present(LAYER_TYPES) else { return Ok(vec![span]) };
        let (words, own) =
            (words(LAYER_TYPES, value)?, if span == Span::All { "full_attention" } else { "sliding_attention" });
        check_count(LAYER_TYPES, words.len(), n_layer)?;
        match words.iter().position(|word| *word != own) {
            Some(layer) => {
                let word = short(&words[layer].into());
                Err(refused(
                    LAYER_TYPES,
                    format!("{word} for layer {layer} is not supported: by its other keys it is {own}"),
                ))
            }
            None => Ok(vec![span]),
        }
    }
}

fn words<'v>(key: &str, value: &'v Value) -> Result<Vec<&'v str>, CheckpointError> {
    let words = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    words.ok_or_else(|| refused(key, format!("{} is no list of words", short(value))))
}

fn check_most(key: &str, n: u64, n_layer: u32) -> Result<(), CheckpointError> {
    if n > u64::from(n_layer) {
        return Err(refused(key, format!("it says {n} layers or more, and there are {n_layer}")));
    }
    Ok(())
}

fn check_count(key: &str, n: usize, n_layer: u32) -> Result<(), CheckpointError> {
    if n as u64 != u64::from(n_layer) {
        return Err(refused(key, format!("it says {n} layers, and there are {n_layer}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spans(family: Family, value: Value) -> Result<Vec<Span>, String> {
        let file = ConfigFile(value.as_object().unwrap().clone());
        file.spans(family, 4, &mut Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn local_layers_are_listed_or_repeated() {
        let neo = |value: Value| spans(Family::GptNeo, value);
        let expected = vec![Span::All, Span::Window(7), Span::All, Span::Window(7)];
        let listed = json!(["global", "local", "global", "local"]);
        assert_eq!(neo(json!({"attention_layers": listed, "window_size": 7})), Ok(expected.clone()));
        let repeated = json!([[["global", "local"], 2]]);
        assert_eq!(neo(json!({"attention_types": repeated, "window_size": 7})), Ok(expected.clone()));
        let both = json!({"attention_types": repeated, "attention_layers": listed, "window_size": 7});
        assert_eq!(neo(both), Ok(expected));
        let parts = json!({"attention_types": [[["local"], 1], [["global"], 3]]});
        assert_eq!(neo(parts).unwrap(), [Span::Window(256), Span::All, Span::All, Span::All]);
        let cases = [
            (json!({"attention_types": repeated, "attention_layers": ["local"]}), "attention_layers"),
            (json!({"attention_layers": ["local"]}), "attention_layers"),
            (json!({"attention_layers": ["global", "global", "global", "sparse"]}), "attention_layers"),
            (json!({"attention_layers": "global"}), "attention_layers"),
            (json!({"attention_types": [[["global"], 4_000_000_000_u64]]}), "attention_types"),
            (json!({"attention_types": [[["global"], 3]]}), "attention_types"),
            (json!({"attention_types": [["global"], 4]}), "attention_types"),
            (json!({"attention_layers": listed, "window_size": 0}), "window_size"),
        ];
        for (value, key) in cases {
            let error = neo(value.clone()).unwrap_err();
            assert!(error.starts_with(&format!("config key `{key}`: ")), "{value}: {error}");
        }
        assert!(neo(json!({})).unwrap_err().starts_with("`attention_layers` is not known: "));
    }

    #[test]
    fn layers_with_a_window_are_the_shortest_pattern() {
        let of = |words: Vec<&str>| {
            let n_layer = words.len() as u32;
            let value = json!({"attention_layers": words, "window_size": 7});
            let file = ConfigFile(value.as_object().unwrap().clone());
            file.windows(Family::GptNeo, n_layer, &mut Vec::new()).map_err(|error| error.to_string())
        };
        assert_eq!(of(vec!["global"; 5]), Ok(Windows::NONE));
        let every_second = Windows { layers: Layers::repeating(&[false, true]), len: 7 };
        assert_eq!(of(["global", "local"].repeat(40)), Ok(every_second));
        assert_eq!(of(["global", "local", "global"].to_vec()), Ok(every_second));
        let odd = |n: usize| of((0..n).map(|layer| if layer + 1 == n { "local" } else { "global" }).collect());
        assert!(odd(63).unwrap().layers.has(62));
        assert!(odd(64).unwrap_err().contains("more than 63 layers"));
    }

    #[test]
    fn windows_slide_in_the_layers_that_their_types_or_their_number_say() {
        let (all, seven) = (Span::All, Span::Window(7));
        let qwen = |value: Value| spans(Family::Qwen2, value);
        let used = json!({"sliding_window": 7, "use_sliding_window": true, "max_window_layers": 2});
        assert_eq!(qwen(used), Ok(vec![all, all, seven, seven]));
        assert_eq!(qwen(json!({"sliding_window": 7, "max_window_layers": 2})), Ok(vec![all]));
        assert_eq!(qwen(json!({"sliding_window": 7, "use_sliding_window": true})), Ok(vec![all]));
        let types = json!(["sliding_attention", "full_attention", "full_attention", "sliding_attention"]);
        let said = json!({"sliding_window": 7, "use_sliding_window": true, "layer_types": types});
        assert_eq!(qwen(said), Ok(vec![seven, all, all, seven]));
        assert!(qwen(json!({ "layer_types": types })).unwrap_err().starts_with("config key `layer_types`: layer 0 is"));
        let gemma = |value: Value| spans(Family::Gemma3, value);
        assert_eq!(gemma(json!({"sliding_window": 7})), Ok(vec![seven]));
        for key in WINDOW_PATTERN {
            assert_eq!(gemma(json!({"sliding_window": 7, key: 2})), Ok(vec![seven, all]));
            assert!(gemma(json!({ key: 0 })).unwrap_err().starts_with(&format!("config key `{key}`: 0 layers")));
        }
        let said = json!({"sliding_window": 7, "sliding_window_pattern": 2, "layer_types": types});
        assert_eq!(gemma(said), Ok(vec![seven, all, all, seven]));
        let other = json!({"sliding_window": 7, "layer_types": vec!["chunked_attention"; 4]});
        assert!(gemma(other).unwrap_err().starts_with("config key `layer_types`: \"chunked_attention\" is not"));
    }

    #[test]
    fn windows_slide_in_every_layer_or_in_none() {
        let mistral = |value: Value| spans(Family::Mistral, value);
        assert_eq!(mistral(json!({"sliding_window": 7})), Ok(vec![Span::Window(7)]));
        assert_eq!(mistral(json!({"sliding_window": null})), Ok(vec![Span::All]));
        assert_eq!(mistral(json!({"sliding_window": 7, "use_sliding_window": false})), Ok(vec![Span::All]));
        assert_eq!(mistral(json!({})), Ok(vec![Span::Window(4096)]));
        let types = |word: &str, n: usize| json!(vec![word; n]);
        let with_types = json!({"sliding_window": 7, "layer_types": types("sliding_attention", 4)});
        assert_eq!(mistral(with_types), Ok(vec![Span::Window(7)]));
        let full = json!({"layer_types": types("full_attention", 4)});
        assert_eq!(spans(Family::Llama, full.clone()), Ok(vec![Span::All]));
        for value in [
            json!({"sliding_window": 7, "layer_types": types("full_attention", 4)}),
            json!({"sliding_window": 7, "layer_types": types("sliding_attention", 3)}),
            json!({"sliding_window": 7, "layer_types": 4}),
        ] {
            assert!(mistral(value).unwrap_err().starts_with("config key `layer_types`: "));
        }
        assert!(mistral(json!({"sliding_window": 0})).unwrap_err().starts_with("config key `sliding_window`: "));
    }
}
