//! How the ids of a request are to be scored.

use emberlm_core::kv_cache::KvType;
use emberlm_core::window::Convention;
use serde::{Deserialize, Serialize};

use crate::RequestError;

/// How to score the ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Tokens of context a window has at most.
    pub n_ctx: usize,
    /// How a row is cut into windows.
    pub convention: Convention,
    /// How keys and values are stored.
    pub kv_type: KvType,
    /// UTF-8 bytes of the scored tokens, where the host knows them: the base of bits per byte.
    pub n_bytes: Option<u64>,
}

/// Bytes that an id takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdWidth {
    /// Two bytes an id.
    U16,
    /// Four bytes an id.
    U32,
}

impl IdWidth {
    /// The width in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }
}

/// [`Header`] as it is stored, with the counts that only the layout needs.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredHeader {
    n_ctx: u32,
    convention: StoredConvention,
    kv_type: KvType,
    n_bytes: Option<u64>,
    pub(crate) n_rows: u32,
    pub(crate) n_ids: u32,
    pub(crate) width: IdWidth,
}

#[derive(Serialize, Deserialize)]
enum StoredConvention {
    Disjoint,
    Sliding { stride: u32 },
    LlamaCpp,
}

impl StoredHeader {
    /// The longest a stored header gets: five-byte counts, a ten-byte byte count, four tags.
    pub(crate) const MAX_BYTES: usize = 5 + 6 + 1 + 11 + 5 + 5 + 1;

    pub(crate) fn new(header: &Header, n_rows: usize, n_ids: usize, width: IdWidth) -> Result<Self, RequestError> {
        let count = |n: usize| u32::try_from(n).map_err(|_| RequestError::TooLarge);
        let convention = match header.convention {
            Convention::Disjoint => StoredConvention::Disjoint,
            Convention::Sliding { stride } => StoredConvention::Sliding { stride: count(stride)? },
            Convention::LlamaCpp => StoredConvention::LlamaCpp,
        };
        let stored = Self {
            n_ctx: count(header.n_ctx)?,
            convention,
            kv_type: header.kv_type,
            n_bytes: header.n_bytes,
            n_rows: count(n_rows)?,
            n_ids: count(n_ids)?,
            width,
        };
        stored.header()?;
        Ok(stored)
    }

    pub(crate) fn header(&self) -> Result<Header, RequestError> {
        let count = |n: u32| match usize::try_from(n) {
            Ok(0) => Err(RequestError::ZeroLength),
            Ok(n) => Ok(n),
            Err(_) => Err(RequestError::TooLarge),
        };
        let convention = match self.convention {
            StoredConvention::Disjoint => Convention::Disjoint,
            StoredConvention::Sliding { stride } => Convention::Sliding { stride: count(stride)? },
            StoredConvention::LlamaCpp => Convention::LlamaCpp,
        };
        Ok(Header { n_ctx: count(self.n_ctx)?, convention, kv_type: self.kv_type, n_bytes: self.n_bytes })
    }
}
