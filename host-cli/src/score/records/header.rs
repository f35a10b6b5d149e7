//! What a file of records says of itself.

use emberlm_core::blob::PrunedVocabulary;
use emberlm_core::config::{Activations, TokenId};
use emberlm_core::kv_cache::KvType;
use emberlm_core::window::Convention;
use serde::{Deserialize, Serialize};

use crate::ground::named;
use crate::score::{Bos, Shard, Task, Windowing};

/// Version of the layout of bytes.
pub(super) const VERSION: u16 = 1;

/// What a file of records says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    emberlm_records: u16,
    /// What was run: the same in every shard.
    pub run: Run,
    /// What of it this is.
    pub part: Part,
}

/// All that the losses of a run depend on, and what its report says besides them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The CRC-32 that tells blobs apart, in 8 hex digits.
    pub model_crc32: String,
    /// Version of the arithmetic.
    pub arithmetic: u16,
    /// What matrix products rounded their inputs to.
    pub activations: String,
    /// How keys and values were stored.
    pub kv: String,
    /// How texts were cut.
    pub convention: String,
    /// Context.
    pub n_ctx: usize,
    /// Tokens from one window to the next.
    pub stride: usize,
    /// Where the token that texts begin with was put.
    pub bos: String,
    /// What was scored.
    pub texts: Vec<TextOfRun>,
    /// Tokens of all texts that were context only, or dropped by the convention.
    pub tokens_skipped: u64,
    /// Windows of all texts.
    pub windows: usize,
    /// Parts that these are divided into.
    pub shards: u32,
    /// What the vocabulary was cut from; none where it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<PrunedVocabulary>,
}

/// A text of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextOfRun {
    /// Its files, by the names that they were given by.
    pub files: Vec<String>,
    /// The CRC-32 of its rows, in 8 hex digits: of each the number of ids, then the ids, each in 4 bytes, little-endian.
    pub tokens_crc32: String,
    /// Its targets.
    pub tokens_scored: u64,
}

/// A shard of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which it is, from 1.
    pub shard: u32,
    /// The first of its windows, counted from 0 over all texts.
    pub first_window: usize,
    /// Its windows.
    pub windows: usize,
    /// Its targets: as many losses follow.
    pub tokens_scored: u64,
    /// UTF-8 bytes that these spell, where they are known.
    pub bytes: Option<u64>,
}

/// What the arithmetic of a run was.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic<'a> {
    /// The CRC-32 that tells blobs apart, in 8 hex digits.
    pub model_crc32: &'a str,
    /// Version of the arithmetic.
    pub version: u16,
    /// What matrix products rounded their inputs to.
    pub activations: &'a str,
    /// How keys and values were stored.
    pub kv: &'a str,
    /// What the vocabulary was cut from; none where it is whole.
    pub pruned: Option<PrunedVocabulary>,
}

impl Header {
    /// Of the losses of `shard` of `task`.
    pub fn new(task: &Task, shard: Shard, arithmetic: Arithmetic<'_>) -> Self {
        let (jobs, Windowing { convention, n_ctx, bos }) = (task.jobs(), task.windowing);
        let mut texts: Vec<TextOfRun> =
            task.input.files().iter().enumerate().map(|(i, files)| TextOfRun::new(task, i, files)).collect();
        jobs.iter().for_each(|job| texts[job.row.text].tokens_scored += job.window.n_scored() as u64);
        let own = shard.windows(jobs.len());
        let part = Part {
            shard: shard.index(),
            first_window: own.start,
            windows: own.len(),
            tokens_scored: jobs[own.clone()].iter().map(|job| job.window.n_scored() as u64).sum(),
            bytes: task.window_bytes.as_ref().map(|bytes| bytes[own].iter().sum()),
        };
        let run = Run {
            model_crc32: arithmetic.model_crc32.into(),
            arithmetic: arithmetic.version,
            activations: arithmetic.activations.into(),
            kv: arithmetic.kv.into(),
            convention: convention.name().into(),
            n_ctx,
            stride: task.windowing.stride(),
            bos: bos.name().into(),
            tokens_skipped: task.input.n_tokens() as u64 - texts.iter().map(|text| text.tokens_scored).sum::<u64>(),
            texts,
            windows: jobs.len(),
            shards: shard.of(),
            pruned: arithmetic.pruned,
        };
        Self { emberlm_records: VERSION, run, part }
    }

    /// Which part it is of the run.
    pub(super) fn shard(&self) -> Result<Shard, String> {
        let (index, of) = (self.part.shard, self.run.shards);
        Shard::new(index, of).ok_or_else(|| format!("there is no shard {index}/{of}"))
    }

    /// Checks that the words in it are known, and that its numbers fit each other.
    pub(super) fn check(&self) -> Result<(), String> {
        self.run.windowing().and(self.run.kv_type().map(drop)).and(self.run.activations().map(drop))?;
        let Part { first_window, windows, .. } = self.part;
        let (shard, own) = (self.shard()?, first_window..first_window.saturating_add(windows));
        if shard.windows(self.run.windows) != own {
            let of = self.run.windows;
            return Err(format!("windows {} to {} of {of} are not those of shard {shard}", own.start, own.end));
        }
        Ok(())
    }
}

impl TextOfRun {
    /// Text `index` of `task`, before its targets are counted.
    fn new(task: &Task, index: usize, files: &[String]) -> Self {
        let mut crc = crc32fast::Hasher::new();
        for row in task.input.rows().iter().filter(|row| row.text == index) {
            crc.update(&(row.tokens.len() as TokenId).to_le_bytes());
            row.tokens.iter().for_each(|id| crc.update(&id.to_le_bytes()));
        }
        Self { files: files.to_vec(), tokens_crc32: format!("{:08x}", crc.finalize()), tokens_scored: 0 }
    }
}

impl Run {
    /// How texts were cut.
    ///
    /// # Errors
    /// The convention, or where the first token is put, is not known.
    pub fn windowing(&self) -> Result<Windowing, String> {
        let all = [Convention::Disjoint, Convention::Sliding { stride: self.stride }, Convention::LlamaCpp];
        let convention = named::find(&all, Convention::name, &self.convention)?;
        let bos = named::find(&[Bos::None, Bos::Text, Bos::Window], Bos::name, &self.bos)?;
        Ok(Windowing { bos, ..Windowing::new(convention, self.n_ctx) })
    }

    /// How keys and values were stored.
    ///
    /// # Errors
    /// It is not known.
    pub fn kv_type(&self) -> Result<KvType, String> {
        named::find(&KvType::ALL, KvType::name, &self.kv)
    }

    /// What matrix products rounded their inputs to.
    ///
    /// # Errors
    /// It is not known.
    pub fn activations(&self) -> Result<Activations, String> {
        named::find(&Activations::ALL, Activations::name, &self.activations)
    }
}
