//! Writing a blob: the sections stream to a temporary file, the header goes in front once they are known, and the file
//! takes its name when its self-test has run.

use super::change::Change;
use super::pack::RoundingError;
use super::quantized::QuantizedModel;
use emberlm_core::blob::preamble::MAGIC;
use emberlm_core::blob::{
    ARITHMETIC, Descriptor, FORMAT_VERSION, Head, KnownNll, LongSelfTest, Preamble, SECTION_ALIGNMENT, Section,
    SelfTest, Slot, TextTokens,
};
use emberlm_core::config::Activations;
use emberlm_core::crc::crc32;
use emberlm_core::format::Format;
use std::io::{self, Seek, SeekFrom, Write};

/// One tensor as it was written.
#[derive(Clone, Debug)]
pub struct WrittenTensor {
    /// Which tensor.
    pub slot: Slot,
    /// How it is stored.
    pub format: Format,
    /// Rows and weights a row.
    pub shape: (u32, u32),
    /// Bytes of its rows.
    pub bytes: u64,
    /// What rounding did to it.
    pub error: RoundingError,
    /// What became of it.
    pub change: Change,
}

/// A blob being written: where everything goes is settled before the first byte.
#[derive(Debug)]
pub struct Writer<F> {
    file: F,
    head: Head,
    descriptors: Vec<(Slot, Descriptor)>,
    text: TextTokens,
    self_test: SelfTest,
    long_self_test: LongSelfTest,
    manifest_bytes: usize,
}

impl<F: Write + Seek> Writer<F> {
    /// Lays the blob out, with room for a tokeniser section of so many bytes.
    pub fn new(
        file: F,
        model: &QuantizedModel<'_>,
        tokenizer_bytes: usize,
        (activations, text): (Activations, TextTokens),
        (self_test, long_self_test): (SelfTest, LongSelfTest),
    ) -> Self {
        let config = *model.checkpoint().config();
        let none = Section::NONE;
        let head =
            Head { arithmetic: ARITHMETIC, config, activations, tensors: none, frequencies: none, tokenizer: none };
        let descriptors = Slot::all(&config).map(|slot| (slot, Descriptor::ABSENT)).collect();
        let mut writer = Self { file, head, descriptors, text, self_test, long_self_test, manifest_bytes: 0 };
        writer.manifest_bytes = writer.manifest().len();
        let start = align((Preamble::BYTES + writer.manifest_bytes) as u64);
        let mut at = start;
        for (slot, descriptor) in &mut writer.descriptors {
            let Some(format) = model.format(*slot) else { continue };
            let (rows, cols) = slot.shape(&config);
            *descriptor = Descriptor { format: format.code(), rows, cols, offset: at };
            at = align(at + descriptor.byte_len().expect("a model that is in memory has a length"));
        }
        writer.head.tensors = Section { offset: start, bytes: at - start };
        let frequency_bytes = size_of::<u64>() as u64 * model.checkpoint().architecture().turns().count() as u64;
        writer.head.frequencies = Section { offset: at, bytes: frequency_bytes };
        writer.head.tokenizer = Section { offset: align(at + frequency_bytes), bytes: tokenizer_bytes as u64 };
        writer
    }

    /// Length of the whole blob.
    pub const fn blob_bytes(&self) -> u64 {
        self.head.tokenizer.offset + self.head.tokenizer.bytes + 4
    }

    /// Writes the sections and their CRC, then the header.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, model: &QuantizedModel<'_>, tokenizer: &[u8]) -> io::Result<Vec<WrittenTensor>> {
        let manifest_end = (Preamble::BYTES + self.manifest_bytes) as u64;
        self.file.seek(SeekFrom::Start(manifest_end))?;
        let mut sections = Sections { file: &mut self.file, crc: crc32fast::Hasher::new(), at: manifest_end };
        let mut written = Vec::new();
        for (slot, descriptor) in &self.descriptors {
            let Some(format) = Format::from_code(descriptor.format) else { continue };
            sections.pad()?;
            let tensor = model.tensor(*slot);
            sections.write(&tensor.bytes)?;
            let (shape, bytes) = ((descriptor.rows, descriptor.cols), tensor.bytes.len() as u64);
            written.push(WrittenTensor {
                slot: *slot,
                format,
                shape,
                bytes,
                error: tensor.error,
                change: tensor.change,
            });
        }
        sections.pad()?;
        for turns in model.checkpoint().architecture().turns() {
            sections.write(&turns.to_le_bytes())?;
        }
        sections.pad()?;
        sections.write(tokenizer)?;
        let crc = sections.crc.finalize();
        self.file.write_all(&crc.to_le_bytes())?;
        self.write_header()?;
        Ok(written)
    }

    /// Records what the self-tests' tokens came to, as many sums as there were before, and writes the header anew.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record_self_tests(&mut self, known: &[KnownNll], long: LongSelfTest) -> io::Result<()> {
        self.self_test.known.copy_from_slice(known);
        self.long_self_test = long;
        self.write_header()
    }

    fn write_header(&mut self) -> io::Result<()> {
        let manifest = self.manifest();
        let mut preamble = Preamble {
            magic: MAGIC,
            format_version: FORMAT_VERSION,
            manifest_bytes: u32::try_from(manifest.len()).map_err(io::Error::other)?,
            blob_bytes: self.blob_bytes(),
            header_crc32: 0,
        };
        let checked = [&encode(&preamble)[..Preamble::CHECKED_BYTES], &manifest].concat();
        preamble.header_crc32 = crc32(&checked);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&encode(&preamble))?;
        self.file.write_all(&manifest)?;
        self.file.flush()
    }

    fn manifest(&self) -> Vec<u8> {
        let table: Vec<&Descriptor> = self.descriptors.iter().map(|(_, descriptor)| descriptor).collect();
        let fixed = [&self.head.to_bytes()[..], &self.text.to_bytes(), &self.long_self_test.to_bytes()].concat();
        [fixed, encode(&(table, &self.self_test))].concat()
    }
}

fn encode(message: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(message).expect("the header's types encode")
}

pub(super) const fn align(at: u64) -> u64 {
    at.next_multiple_of(SECTION_ALIGNMENT as u64)
}

/// All between manifest and final CRC.
struct Sections<'f, F> {
    file: &'f mut F,
    crc: crc32fast::Hasher,
    at: u64,
}

impl<F: Write> Sections<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.at += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn pad(&mut self) -> io::Result<()> {
        let gap = align(self.at) - self.at;
        self.write(&[0; SECTION_ALIGNMENT][..gap as usize])
    }
}
