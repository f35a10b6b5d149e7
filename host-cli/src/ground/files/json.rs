//! JSON in which no key stands twice.
//!
//! Where it does, readers disagree on which of the values holds, and most of them say nothing.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What `json` stands for.
///
/// # Errors
/// One line with the place: a key stands twice in one object, or the JSON is damaged or no `T`.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    check_keys(json)?;
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// Checks that `json` is one value, and that no object in it has a key twice.
///
/// # Errors
/// One line with the place.
pub fn check_keys(json: &[u8]) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Distinct.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|error| error.to_string())
}

/// Any value whose objects have each key once.
struct Distinct;

impl<'de> DeserializeSeed<'de> for Distinct {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` is there twice")));
            }
            keys.insert(key);
            map.next_value_seed(Self)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_key_that_stands_twice_is_named_with_its_place() {
        for json in [r#"{"n_embd": 4, "n_embd": 4}"#, r#"{"n_embd": 4, "n_em\u0062d": 5}"#] {
            let why = parse::<Value>(json.as_bytes()).unwrap_err();
            assert!(why.starts_with("the key `n_embd` is there twice at line 1 column 2"), "{why}");
        }
        assert!(check_keys(br#"[{"a": [1, -1, 1.5, "x", null, true, {"a": {}}]}, {"a": 1}]"#).is_ok());
        assert!(check_keys(br#"[{"a": {"b": 1, "c": 2, "b": 3}}]"#).unwrap_err().contains("`b`"));
    }

    #[test]
    fn damaged_json_is_told_with_its_place() {
        assert!(parse::<Value>(b"{\"a\": 1").unwrap_err().contains("line 1 column 7"));
        assert!(parse::<Value>(b"{} {}").unwrap_err().contains("trailing"));
        assert!(check_keys(&[b'['; 100_000]).unwrap_err().contains("recursion limit"));
    }
}
