//! The one sum of a run whose shards were scored apart.

use std::path::Path;

use emberlm_core::loss::Score;
use serde_json::Value;

use super::records::{Records, RecordsError, RecordsFault, Run};

/// A run whose shards are all there.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What was run.
    pub run: Run,
    /// The sum of all losses, in scored order.
    pub score: Score,
    /// That of each text.
    pub texts: Vec<Score>,
    /// UTF-8 bytes that all targets spell, where they are known.
    pub bytes: Option<u64>,
}

/// Sums the losses of the shards in `files`, in whatever order these are named.
///
/// # Errors
/// A file holds no whole records; they are of different runs; a shard is there twice, or missing.
pub fn merge<P: AsRef<Path>>(files: &[P]) -> Result<Merged, RecordsError> {
    let mut shards = files.iter().map(|file| Records::open(file.as_ref())).collect::<Result<Vec<_>, _>>()?;
    if let [first, others @ ..] = &shards[..] {
        others.iter().try_for_each(|other| check_run(first, other))?;
    }
    shards.sort_by_key(|records| records.shard.index());
    check_shards(&shards)?;
    let run = shards[0].header.run.clone();
    let mut texts = vec![Score::new(); run.texts.len()];
    let mut score = Score::new();
    let mut text = 0;
    for records in &shards {
        records.each(|nll| {
            score.push(nll);
            while run.texts.get(text).is_some_and(|of_run| texts[text].n() >= of_run.tokens_scored) {
                text += 1;
            }
            if let Some(text) = texts.get_mut(text) {
                text.push(nll);
            }
        })?;
    }
    let mut bytes = shards.iter().map(|records| records.header.part.bytes);
    let bytes = bytes.try_fold(0u64, |all, bytes| Some(all.saturating_add(bytes?)));
    Ok(Merged { run, score, texts, bytes })
}

/// Checks that `other` is of the run that `first` is of.
fn check_run(first: &Records, other: &Records) -> Result<(), RecordsError> {
    let (own, others) = (&other.header.run, &first.header.run);
    if own == others {
        return Ok(());
    }
    let value = |run: &Run| serde_json::to_value(run).unwrap_or_default();
    let (field, own, others) = difference(String::new(), &value(own), &value(others));
    let fault = RecordsFault::Disagrees { field, own, other: first.path.clone(), others };
    Err(RecordsError::new(&other.path, fault))
}

/// The first place in which two values differ, and what is there in each.
fn difference(place: String, a: &Value, b: &Value) -> (String, String, String) {
    let differing = match (a, b) {
        (Value::Object(a), Value::Object(b)) => a.iter().find_map(|(key, value)| {
            Some((key.clone(), value, b.get(key)?)).filter(|(_, value, other)| value != other)
        }),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            let named = pairs.map(|(i, (value, other))| ((i + 1).to_string(), value, other));
            named.into_iter().find(|(_, value, other)| value != other)
        }
        (Value::Array(a), Value::Array(b)) => {
            return (format!("number of {place}"), a.len().to_string(), b.len().to_string());
        }
        _ => None,
    };
    match differing {
        Some((key, a, b)) if place.is_empty() => difference(key, a, b),
        Some((key, a, b)) => difference(format!("{place} {key}"), a, b),
        None => (place, plain(a), plain(b)),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Shards that an error names at most.
const MOST_NAMED: usize = 8;

/// Checks that `shards`, sorted and of one run, are all of it and have no window twice.
fn check_shards(shards: &[Records]) -> Result<(), RecordsError> {
    if let Some([other, own]) = shards.array_windows().find(|[a, b]| a.shard == b.shard) {
        let fault = RecordsFault::Overlap { shard: own.shard, other: other.path.clone() };
        return Err(RecordsError::new(&own.path, fault));
    }
    let Some(first) = shards.first() else { return Ok(()) };
    let of = first.shard.of();
    let there = |index: &u32| shards.binary_search_by_key(index, |records| records.shard.index()).is_ok();
    let n_missing = of as usize - shards.len();
    if n_missing > 0 {
        let named: Vec<String> =
            (1..=of).filter(|index| !there(index)).take(MOST_NAMED).map(|i| i.to_string()).collect();
        let more =
            if n_missing > named.len() { format!(" and {} more", n_missing - named.len()) } else { String::new() };
        let missing = format!("{}{more} {}", named.join(", "), if n_missing == 1 { "is" } else { "are" });
        return Err(RecordsError::new(&first.path, RecordsFault::Missing { missing, of }));
    }
    let (stated, held) = (first.header.run.texts.iter(), shards.iter());
    let stated: u64 = stated.fold(0, |all, text| all.saturating_add(text.tokens_scored));
    let held: u64 = held.fold(0, |all, records| all.saturating_add(records.header.part.tokens_scored));
    if stated != held || stated == 0 {
        let why = format!("its texts have {stated} targets and all shards {held}");
        return Err(RecordsError::new(&first.path, RecordsFault::Header(why)));
    }
    Ok(())
}
