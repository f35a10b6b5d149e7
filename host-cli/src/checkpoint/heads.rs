//! How many heads of which width: where they divide `n_embd`, and where the projections of queries and keys say it.

use super::archive::Archive;
use super::error::CheckpointError;
use super::keys::{self, ConfigFile, Said};
use super::layout::Names;
use super::shapes::{Seen, agree, matrix, part};
use emberlm_core::blob::{LayerSlot, Slot};
use emberlm_core::config::MAX_WIDTH;

/// Heads of keys and values, and the width of all.
pub struct Heads {
    pub n_kv_head: u32,
    pub head_dim: u32,
}

/// Heads that divide `n_embd`, each with keys and values of its own.
///
/// # Errors
/// The file says otherwise.
pub fn dividing(said: &ConfigFile, n_head: u32, n_embd: u32) -> Result<Heads, CheckpointError> {
    if n_head == 0 || !n_embd.is_multiple_of(n_head) {
        let key = said.count(keys::N_HEAD)?.map_or_else(|| keys::N_HEAD[0].to_owned(), |said| said.key);
        return Err(CheckpointError::Key { key, why: format!("n_head does not divide n_embd: {n_head}, {n_embd}") });
    }
    let head_dim = n_embd / n_head;
    for (said, need) in [(said.count(keys::N_KV_HEAD)?, n_head), (said.count(keys::HEAD_DIM)?, head_dim)] {
        if let Some(Said { key, value }) = said.filter(|said| said.value != need) {
            return Err(CheckpointError::Key { key, why: format!("{value} is not supported, only {need}") });
        }
    }
    Ok(Heads { n_kv_head: n_head, head_dim })
}

/// Heads of any even width, groups of which share keys and values: by the rows of the query's and the key's projection
/// where those are stored apart, else as the file says, or as many as there are of queries.
///
/// # Errors
/// File and shapes do not agree, or there are no such heads.
pub fn free(
    archive: &Archive,
    names: &Names,
    said: &ConfigFile,
    n_head: u32,
    n_embd: u32,
) -> Result<Heads, CheckpointError> {
    let slot = Slot::Layer(0, LayerSlot::AttnQkvWeight);
    let (said_dim, said_kv) = (said.count(keys::HEAD_DIM)?, said.count(keys::N_KV_HEAD)?);
    let key = |said: &Option<Said<u32>>, own: &[&str]| said.as_ref().map_or(own[0].to_owned(), |said| said.key.clone());
    let (dim_key, kv_key) = (key(&said_dim, keys::HEAD_DIM), key(&said_kv, keys::N_KV_HEAD));
    let refused = |key: &str, why: String| CheckpointError::Key { key: key.to_owned(), why };
    if n_head == 0 {
        return Err(refused(keys::N_HEAD[0], "a model has a head at least".to_owned()));
    }
    let apart = names.place(slot).is_some_and(|place| place.names.len() > 1);
    let head_dim = match said_dim {
        Some(said) => said.value,
        None if apart => whole(&matrix(archive, names, slot)?[0], n_head, "heads")?,
        None => n_embd / n_head,
    };
    if head_dim == 0 || !head_dim.is_multiple_of(2) {
        return Err(refused(&dim_key, format!("heads of {head_dim} elements have no pairs to rotate")));
    }
    let width = u64::from(n_head) * u64::from(head_dim);
    if width > u64::from(MAX_WIDTH) {
        return Err(refused(
            &dim_key,
            format!("{n_head} heads of {head_dim} are {width} wide, and {MAX_WIDTH} is the most"),
        ));
    }
    let n_kv_head = if apart {
        agree(Some(Said { key: dim_key, value: width as u32 }), &matrix(archive, names, slot)?[0])
            .map_err(|error| of_heads(error, n_head, head_dim))?;
        let [rows, _] = part(archive, names, slot, 1)?;
        let n_kv_head = whole(&rows, head_dim, "elements of a head")?;
        agree(said_kv, &Seen { tensor: rows.tensor, value: n_kv_head })?;
        n_kv_head
    } else {
        said_kv.map_or(n_head, |said| said.value)
    };
    if n_kv_head == 0 || !n_head.is_multiple_of(n_kv_head) {
        return Err(refused(
            &kv_key,
            format!("{n_kv_head} heads of keys and values do not divide {n_head} of queries"),
        ));
    }
    Ok(Heads { n_kv_head, head_dim })
}

/// The rows of a tensor in so many parts.
fn whole(rows: &Seen, parts: u32, what: &str) -> Result<u32, CheckpointError> {
    if !rows.value.is_multiple_of(parts) {
        let (tensor, need) = (rows.tensor.clone(), format!("a multiple of {parts} rows ({what})"));
        return Err(CheckpointError::Shape { tensor, need, have: vec![rows.value as usize] });
    }
    Ok(rows.value / parts)
}

/// The same refusal, with what the rows are made of.
fn of_heads(error: CheckpointError, n_head: u32, head_dim: u32) -> CheckpointError {
    match error {
        CheckpointError::Disagree { key, tensor, have, .. } => CheckpointError::Disagree {
            key,
            value: format!("{head_dim}, which {n_head} heads make {} rows", u64::from(n_head) * u64::from(head_dim)),
            tensor,
            have,
        },
        other => other,
    }
}
