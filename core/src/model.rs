//! An opened model: the checked manifest, and tensors by slot.

use crate::blob::manifest::{Descriptor, Head, LongSelfTest, SelfTest, TextTokens};
use crate::blob::open::{self, Layout, OpenError, Part};
use crate::blob::preamble::Preamble;
use crate::blob::slot::Slot;
use crate::config::{Activations, Config};
use crate::crc::Crc32;
use crate::features;
use crate::format::Format;
use crate::source::{Mapped, ReadError, Source};

/// A tensor of an opened model: `rows` rows of `cols` weights each, `stride` bytes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// How each row is stored.
    pub format: Format,
    /// Number of rows.
    pub rows: usize,
    /// Weights a row.
    pub cols: usize,
    /// The first row's first byte, counted from the blob's first.
    pub offset: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// A model in a blob that has been checked.
#[derive(Debug)]
pub struct Model<S> {
    source: S,
    layout: Layout,
}

impl<S: Source> Model<S> {
    /// Checks the blob behind `source`: header and its CRC, config, every tensor's place, format and shape, the
    /// self-test's tokens. The sections' own CRC waits for [`Model::verify_sections`].
    ///
    /// # Errors
    /// The first fault found.
    pub fn open(mut source: S) -> Result<Self, OpenError> {
        const { features::check() };
        let layout = open::open(&mut source)?;
        Ok(Self { source, layout })
    }

    /// The model's shape.
    pub const fn config(&self) -> &Config {
        &self.layout.head.config
    }

    /// What matrix products round their inputs to.
    pub const fn activations(&self) -> Activations {
        self.layout.head.activations
    }

    /// The fixed part of the manifest.
    pub const fn head(&self) -> &Head {
        &self.layout.head
    }

    /// Length of the blob in bytes, the final CRC included.
    pub const fn blob_bytes(&self) -> usize {
        self.layout.checked.1 + 4
    }

    /// The CRC-32 that tells blobs apart, whole: that of the header's CRC-32 and then the sections', both as they are
    /// stored. Opening checked the one against its bytes, [`Model::verify_sections`] checks the other.
    ///
    /// # Errors
    /// The medium failed.
    pub fn crc32(&mut self) -> Result<u32, ReadError> {
        let mut crc = Crc32::new();
        for offset in [Preamble::CHECKED_BYTES, self.layout.checked.1] {
            crc.update(self.source.read(offset, 4)?);
        }
        Ok(crc.finish())
    }

    /// Reads the sections through and compares their CRC-32 with the one behind them.
    ///
    /// # Errors
    /// [`OpenError::Checksum`], or the medium failed.
    pub fn verify_sections(&mut self) -> Result<(), OpenError> {
        let (start, end) = self.layout.checked;
        let mut crc = Crc32::new();
        open::update_crc(&mut crc, &mut self.source, start..end)?;
        let is_stored = self.source.read(end, 4)? == crc.finish().to_le_bytes();
        if is_stored { Ok(()) } else { Err(OpenError::Checksum(Part::Sections)) }
    }

    /// The tokens whose summed nll is known to the bit.
    ///
    /// # Errors
    /// The medium failed.
    #[inline(never)] // What decoding takes of the stack is free again when the tokens are scored.
    pub fn self_test(&mut self) -> Result<SelfTest, OpenError> {
        let (start, bytes) = self.layout.self_test;
        Ok(open::decode(&mut self.source, start..start + bytes)?.0)
    }

    /// The self-test that is run where it is asked for. No one has checked whether it fits the model.
    ///
    /// # Errors
    /// The medium failed.
    pub fn long_self_test(&mut self) -> Result<LongSelfTest, ReadError> {
        let bytes = self.source.read(Preamble::BYTES + Head::BYTES + TextTokens::BYTES, LongSelfTest::BYTES)?;
        Ok(bytes.first_chunk().map_or(LongSelfTest::NONE, LongSelfTest::from_bytes))
    }

    /// The tokens that begin and end a text. No one has checked whether the model has them.
    ///
    /// # Errors
    /// The medium failed.
    pub fn text_tokens(&mut self) -> Result<TextTokens, ReadError> {
        let bytes = self.source.read(Preamble::BYTES + Head::BYTES, TextTokens::BYTES)?;
        Ok(bytes.first_chunk().map_or(TextTokens::NONE, TextTokens::from_bytes))
    }

    /// A tensor's place, `None` where the model lacks it.
    ///
    /// # Errors
    /// The medium failed.
    pub fn tensor(&mut self, slot: Slot) -> Result<Option<Tensor>, ReadError> {
        let offset = self.descriptor_offset(slot);
        let descriptor: Descriptor =
            open::decode(&mut self.source, offset..offset + Descriptor::BYTES).map_err(|_| ReadError { offset })?.0;
        Ok(Format::from_code(descriptor.format).map(|format| Tensor {
            format,
            rows: descriptor.rows as usize,
            cols: descriptor.cols as usize,
            offset: descriptor.offset as usize,
            stride: format.row_stride(descriptor.cols as usize),
        }))
    }

    /// A tensor that opening the blob made sure of.
    ///
    /// # Errors
    /// The medium failed, or its descriptor is no longer what it was.
    pub(crate) fn required(&mut self, slot: Slot) -> Result<Tensor, ReadError> {
        self.tensor(slot)?.ok_or(ReadError { offset: self.descriptor_offset(slot) })
    }

    const fn descriptor_offset(&self, slot: Slot) -> usize {
        self.layout.table + slot.descriptor_offset()
    }

    /// The bytes that weights are read from.
    pub(crate) const fn source(&mut self) -> &mut S {
        &mut self.source
    }
}

impl<'a> Model<Mapped<'a>> {
    /// The bytes that the blob is mapped to; more may follow it.
    pub(crate) const fn bytes(&self) -> &'a [u8] {
        self.source.bytes()
    }
}
