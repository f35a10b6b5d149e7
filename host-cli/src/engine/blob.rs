//! Blobs mapped from files, all CRCs checked.

use std::path::{Path, PathBuf};

use emberlm_core::blob::{OpenError, PrunedVocabulary};
use emberlm_core::model::Model;
use emberlm_core::source::{Mapped, SourceError};
use memmap2::Mmap;

use crate::ground::files::{FileError, Wanted, mapped};
use crate::ground::shown;
use crate::text::tokenizer::{SectionParts, TokenizerError, section};

/// A blob's file, mapped.
#[derive(Debug)]
pub struct BlobFile(Mmap);

/// What is wrong with a blob's file.
#[derive(Debug, thiserror::Error)]
pub enum BlobFault {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not a blob that this program can use.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// Its bytes are not where core needs them.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// It is longer than the blob in it.
    #[error("{0} bytes follow the blob")]
    Trailing(u64),
}

impl BlobFile {
    /// Maps a file and checks the blob in it, all CRCs included.
    ///
    /// # Errors
    /// See [`BlobFault`].
    pub fn open(path: &Path) -> Result<Self, BlobFault> {
        let file = Self(mapped::map(path)?);
        let mut model = file.model()?;
        model.verify_sections()?;
        let trailing = file.0.len() - model.blob_bytes();
        if trailing > 0 { Err(BlobFault::Trailing(trailing as u64)) } else { Ok(file) }
    }

    /// The blob's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The model in it.
    ///
    /// # Errors
    /// None, after [`BlobFile::open`].
    pub fn model(&self) -> Result<Model<Mapped<'_>>, BlobFault> {
        Ok(Model::open(Mapped::new(&self.0)?)?)
    }
}

/// An open blob.
#[derive(Debug)]
pub struct Blob {
    /// Its path.
    pub path: PathBuf,
    /// Its bytes, all CRCs checked.
    pub file: BlobFile,
}

/// Why a blob is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// Its file is refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its tokeniser section is damaged.
    #[error(transparent)]
    Section(#[from] TokenizerError),
    /// It is not a blob that this program can use.
    #[error("{}: {}", shown::path(path), shown::message(fault))]
    Blob {
        /// The blob's file.
        path: PathBuf,
        /// Why.
        fault: BlobFault,
    },
}

impl BlobError {
    /// Why the blob at `path` is refused.
    fn new(path: &Path, fault: BlobFault) -> Self {
        match fault {
            BlobFault::File(error) => Self::File(error),
            fault => Self::Blob { path: path.to_owned(), fault },
        }
    }

    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Section(error) => error.kind(),
            Self::Blob { .. } => "blob",
        }
    }
}

impl Blob {
    /// Opens the blob at `path`, all CRCs checked.
    ///
    /// # Errors
    /// It cannot be read, or is no blob of this version.
    pub fn open(path: &Path) -> Result<Self, BlobError> {
        Wanted::Blob.check(path)?;
        let file = BlobFile::open(path).map_err(|fault| BlobError::new(path, fault))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// The model in it.
    ///
    /// # Errors
    /// None, after [`Blob::open`].
    pub fn model(&self) -> Result<Model<Mapped<'_>>, BlobError> {
        self.file.model().map_err(|fault| self.fault(fault))
    }

    /// The tokenizer in its tokeniser section.
    ///
    /// # Errors
    /// The section is damaged.
    pub fn section(&self) -> Result<Option<SectionParts>, BlobError> {
        let opened = self.model()?.tokenizer().map_err(|error| section::broken(&error))?;
        Ok(opened.map(|tokenizer| section::parts(&tokenizer)).transpose()?)
    }

    /// What its vocabulary was cut from; none where it is whole.
    ///
    /// # Errors
    /// None, after [`Blob::open`].
    pub fn pruned(&self) -> Result<Option<PrunedVocabulary>, BlobError> {
        let mut model = self.model()?;
        let text = model.text_tokens().map_err(|error| self.fault(BlobFault::Open(error.into())))?;
        Ok(text.pruned(model.config().n_vocab))
    }

    /// The CRC-32 that tells blobs apart, in 8 hex digits.
    ///
    /// # Errors
    /// None, after [`Blob::open`].
    pub fn crc32(&self) -> Result<String, BlobError> {
        let crc = self.model()?.crc32().map_err(|error| self.fault(BlobFault::Open(error.into())))?;
        Ok(format!("{crc:08x}"))
    }

    /// An error in reading it.
    pub fn fault(&self, fault: BlobFault) -> BlobError {
        BlobError::new(&self.path, fault)
    }
}
