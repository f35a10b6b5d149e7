//! Rows of token ids in JSON.

use emberlm_core::config::TokenId;
use serde_json::Value;

use crate::ground::shown;

/// Bytes of a file of ids that is wrong, up to which all of it is read anew to say what is wrong with it.
const MOST_TO_EXPLAIN: usize = 64 << 20;

/// The rows of a JSON array of ids, or of an array of such arrays: none of an empty array.
///
/// # Errors
/// What is wrong, and where.
pub fn parse(json: &[u8]) -> Result<Vec<Vec<TokenId>>, String> {
    // What is right is read without a copy of it in between, which would take many times the file.
    if let Ok(tokens) = serde_json::from_slice::<Vec<TokenId>>(json)
        && !tokens.is_empty()
    {
        return Ok(vec![tokens]);
    }
    match serde_json::from_slice::<Vec<Vec<TokenId>>>(json) {
        Err(error) if json.len() > MOST_TO_EXPLAIN => return Err(error.to_string()),
        Err(_) => {}
        rows => return rows.map_err(|error| error.to_string()),
    }
    let parsed: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let list = parsed.as_array().ok_or("it is no JSON array")?;
    if !list.iter().any(Value::is_array) {
        return Ok(vec![row(0, list)?]);
    }
    let rows = list.iter().enumerate().map(|(i, value)| match value {
        Value::Array(ids) => row(i, ids),
        other => Err(format!("{} at index {i} stands between rows", shown::value(&other.to_string()))),
    });
    rows.collect()
}

fn row(i: usize, ids: &[Value]) -> Result<Vec<TokenId>, String> {
    let id = |(index, value): (usize, &Value)| {
        let id = value.as_u64().and_then(|id| TokenId::try_from(id).ok());
        id.ok_or_else(|| format!("{} at index {index} of row {i} is no token id", shown::value(&value.to_string())))
    };
    ids.iter().enumerate().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(json: &str) -> Result<Vec<Vec<TokenId>>, String> {
        parse(json.as_bytes())
    }

    #[test]
    fn an_array_is_one_row_and_arrays_are_rows() {
        assert_eq!(rows("[1, 2, 3]"), Ok(vec![vec![1, 2, 3]]));
        assert_eq!(rows("[[1], [2, 4294967295]]"), Ok(vec![vec![1], vec![2, 4_294_967_295]]));
        assert_eq!(rows("[]"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_id_is_named_with_its_place() {
        for (json, message) in [
            ("[1, -2]", "-2 at index 1 of row 0 is no token id"),
            ("[[1], [2, 1.5]]", "1.5 at index 1 of row 1 is no token id"),
            ("[4294967296]", "4294967296 at index 0 of row 0 is no token id"),
            ("[[1], 2]", "2 at index 1 stands between rows"),
            ("{}", "it is no JSON array"),
        ] {
            assert_eq!(rows(json), Err(message.into()));
        }
        assert!(rows("[1, 2").is_err_and(|why| why.starts_with("EOF")));
    }
}
