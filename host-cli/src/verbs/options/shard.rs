//! Which part of the windows a verb scores, and where their losses are kept.

use std::path::PathBuf;

use clap::Args;

use super::replacing::RawReplacing;
use crate::ground::files::{Inputs, Output};
use crate::score::Shard;
use crate::score::records::is_records;
use crate::verbs::error::Error;

/// The words that say which windows are scored, and where their losses go.
#[derive(Args, Clone, Debug)]
pub struct RawShard {
    /// Score only the I-th of N equal parts of the windows, in scored order, as 2/8: `emberlm merge` joins their records
    #[arg(long, value_name = "I/N", requires = "records")]
    shard: Option<Shard>,
    /// Write each scored token's loss to this file, for `emberlm merge`
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    #[command(flatten)]
    replacing: RawReplacing,
}

impl RawShard {
    /// Whether losses are to be kept.
    pub const fn has_records(&self) -> bool {
        self.records.is_some()
    }

    /// Which part is to be scored.
    pub fn shard(&self) -> Shard {
        self.shard.unwrap_or(Shard::WHOLE)
    }

    /// Begins the file of records, if there is to be one, for a verb that reads `inputs`.
    ///
    /// # Errors
    /// It may not be written, or there is none to be forced.
    pub fn begin(&self, inputs: Inputs) -> Result<Option<Output>, Error> {
        match &self.records {
            Some(path) => Ok(Some(Output::begin(path, &self.replacing.permit(inputs), is_records)?)),
            None if self.replacing.is_forced() => Err(Error::Usage("--force is for the file of --records".into())),
            None => Ok(None),
        }
    }
}
