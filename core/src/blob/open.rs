//! Opening a blob: everything that could make a later access fail is checked here, once.

use super::manifest::{Descriptor, Head, LongSelfTest, Section, SelfTest, TextTokens};
use super::preamble::{MAGIC, Preamble};
use super::slot::{Presence, Slot};
use super::{ARITHMETIC, FORMAT_VERSION, SECTION_ALIGNMENT};
use crate::config::{Activations, Choice, ConfigError, Positions};
use crate::crc::Crc32;
use crate::features::ROTARY;
use crate::format::Format;
use crate::source::{MIN_BUFFER, ReadError, Source};
use core::fmt;
use core::ops::Range;

/// A part of the blob with a checksum of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Part {
    /// Preamble and manifest.
    Header,
    /// Tensors and tokeniser, with the padding around them.
    Sections,
}

/// What is wrong with a tensor's descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TensorFault {
    /// The model cannot do without it.
    Missing,
    /// No model of its config has it.
    Surplus,
    /// No such format, or not one that this tensor may have.
    Format(u8),
    /// A matrix of a format that this build leaves out, see [`features`](crate::features).
    LeftOut(Format),
    /// Rows and columns disagree with the config.
    Shape {
        /// Rows and columns by the config.
        need: (u32, u32),
        /// Rows and columns by the descriptor.
        have: (u32, u32),
    },
    /// It does not lie where the one before it ends.
    Offset {
        /// Where it has to start.
        need: u64,
        /// Where its descriptor says.
        have: u64,
    },
    /// It does not end before the blob's last CRC.
    End,
}

/// Why a blob cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OpenError {
    /// It does not begin with the magic bytes.
    NotABlob,
    /// The bytes end too early.
    Truncated {
        /// Bytes that the blob has, or those of a preamble where even that is cut off.
        need: u64,
        /// Bytes that are there.
        have: u64,
    },
    /// The layout is that of another version.
    UnsupportedVersion(u16),
    /// A checksum does not match.
    Checksum(Part),
    /// Its arithmetic is not the one that this core computes: the numbers would differ.
    OtherArithmetic {
        /// The blob's.
        blob: u16,
        /// [`ARITHMETIC`].
        core: u16,
    },
    /// The manifest does not decode, or its lengths contradict one another.
    Manifest,
    /// No model can have this shape.
    Config(ConfigError),
    /// Its activations are rounded in a way that this build leaves out, see [`features`](crate::features).
    ActivationsLeftOut(Activations),
    /// It takes something that this build leaves out.
    LeftOut(Choice),
    /// A tensor's descriptor is wrong.
    Tensor(Slot, TensorFault),
    /// The self-test's tokens do not fit the model.
    SelfTest,
    /// It is too large for this machine's addresses.
    TooLarge,
    /// The medium failed.
    Read(ReadError),
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotABlob => f.write_str("not an emberlm blob"),
            Self::Truncated { need, have } => write!(f, "the blob is cut off: need {need} bytes, have {have}"),
            Self::UnsupportedVersion(version) => {
                write!(f, "the blob has format version {version}, this core reads {FORMAT_VERSION}: convert again")
            }
            Self::Checksum(Part::Header) => f.write_str("the header is damaged: its CRC-32 does not match"),
            Self::Checksum(Part::Sections) => f.write_str("the weights are damaged: their CRC-32 does not match"),
            Self::OtherArithmetic { blob, core } => {
                write!(f, "the blob was made for arithmetic {blob}, this core computes arithmetic {core}")
            }
            Self::Manifest => f.write_str("the manifest contradicts itself"),
            Self::Config(error) => error.fmt(f),
            Self::ActivationsLeftOut(activations) => {
                write!(f, "its activations are {}, which this build leaves out", activations.name())
            }
            Self::LeftOut(choice) => write!(f, "it takes {}, which this build leaves out", choice.name()),
            Self::Tensor(slot, TensorFault::Missing) => write!(f, "{slot} is missing"),
            Self::Tensor(slot, TensorFault::Surplus) => write!(f, "{slot} is of no use to the model"),
            Self::Tensor(slot, TensorFault::Format(code)) => write!(f, "{slot} cannot have format {code}"),
            Self::Tensor(slot, TensorFault::LeftOut(format)) => {
                write!(f, "{slot} is of {}, which this build leaves out", format.name())
            }
            Self::Tensor(slot, TensorFault::Shape { need, have }) => {
                write!(f, "{slot} has the wrong shape: need [{}, {}], have [{}, {}]", need.0, need.1, have.0, have.1)
            }
            Self::Tensor(slot, TensorFault::Offset { need, have }) => {
                write!(f, "{slot} is misplaced: need offset {need}, have {have}")
            }
            Self::Tensor(slot, TensorFault::End) => write!(f, "{slot} is longer than the rest of the blob"),
            Self::SelfTest => f.write_str("the self-test does not fit the model"),
            Self::TooLarge => f.write_str("the blob is too large for this machine"),
            Self::Read(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Read(error) => Some(error),
            _ => None,
        }
    }
}

/// Where the parts of a checked blob lie, in bytes from its first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub head: Head,
    /// The first descriptor's first byte.
    pub table: usize,
    pub self_test: (usize, usize),
    /// What the final CRC covers: all between the manifest and it.
    pub checked: (usize, usize),
}

/// Checks everything but the sections' CRC.
pub(crate) fn open(source: &mut impl Source) -> Result<Layout, OpenError> {
    let have = source.len() as u64;
    if have < Preamble::BYTES as u64 {
        return Err(OpenError::Truncated { need: Preamble::BYTES as u64, have });
    }
    let preamble: Preamble = decode(source, 0..Preamble::BYTES)?.0;
    if preamble.magic != MAGIC {
        return Err(OpenError::NotABlob);
    }
    if preamble.format_version != FORMAT_VERSION {
        return Err(OpenError::UnsupportedVersion(preamble.format_version));
    }
    let blob_end = usize::try_from(preamble.blob_bytes).map_err(|_| OpenError::TooLarge)?;
    if have < preamble.blob_bytes {
        return Err(OpenError::Truncated { need: preamble.blob_bytes, have });
    }
    let manifest_end = u64::from(preamble.manifest_bytes) + Preamble::BYTES as u64;
    let sections_end = preamble.blob_bytes.checked_sub(4).filter(|&end| manifest_end <= end);
    let sections_end = sections_end.ok_or(OpenError::Manifest)?;
    let manifest_end = manifest_end as usize;

    let mut crc = Crc32::new();
    update_crc(&mut crc, source, 0..Preamble::CHECKED_BYTES)?;
    update_crc(&mut crc, source, Preamble::BYTES..manifest_end)?;
    if crc.finish() != preamble.header_crc32 {
        return Err(OpenError::Checksum(Part::Header));
    }

    let mut at = Preamble::BYTES;
    let arithmetic = source.read(at, (manifest_end - at).min(2))?.first_chunk().ok_or(OpenError::Manifest)?;
    let arithmetic = u16::from_le_bytes(*arithmetic);
    if arithmetic != ARITHMETIC {
        return Err(OpenError::OtherArithmetic { blob: arithmetic, core: ARITHMETIC });
    }
    let head = source.read(at, (manifest_end - at).min(Head::BYTES))?.first_chunk().ok_or(OpenError::Manifest)?;
    let head = Head::from_bytes(head).map_err(|choice| choice.map_or(OpenError::Manifest, OpenError::LeftOut))?;
    at += Head::BYTES + TextTokens::BYTES + LongSelfTest::BYTES;
    head.config.validate().map_err(OpenError::Config)?;
    if !head.activations.is_built() {
        return Err(OpenError::ActivationsLeftOut(head.activations));
    }
    if let Some(choice) = head.config.left_out() {
        return Err(OpenError::LeftOut(choice));
    }
    if at > manifest_end {
        return Err(OpenError::Manifest);
    }
    let (slots, used): (u32, _) = decode(source, at..manifest_end.min(at + 5))?;
    at += used;
    let table = at;
    let table_bytes = (Slot::count(&head.config) as u64).saturating_mul(Descriptor::BYTES as u64);
    if slots as usize != Slot::count(&head.config) || table_bytes > (manifest_end - table) as u64 {
        return Err(OpenError::Manifest);
    }
    check_tensors(source, &head, table, (manifest_end as u64, sections_end))?;
    at += table_bytes as usize;
    if manifest_end - at > SelfTest::MAX_BYTES {
        return Err(OpenError::Manifest);
    }
    let (self_test, used): (SelfTest, _) = decode(source, at..manifest_end)?;
    if used != manifest_end - at {
        return Err(OpenError::Manifest);
    }
    let fits = (2..=head.config.n_ctx as usize + 1).contains(&self_test.tokens.len());
    if !fits || self_test.tokens.iter().any(|&token| token >= head.config.n_vocab) {
        return Err(OpenError::SelfTest);
    }
    Ok(Layout { head, table, self_test: (at, used), checked: (manifest_end, blob_end - 4) })
}

/// The tensors follow one another in the table's order, the tokeniser follows them, and the final CRC follows it: with
/// every offset determined, nothing can overlap or lie outside.
fn check_tensors(
    source: &mut impl Source,
    head: &Head,
    table: usize,
    (manifest_end, sections_end): (u64, u64),
) -> Result<(), OpenError> {
    let mut at = manifest_end.next_multiple_of(SECTION_ALIGNMENT as u64);
    if head.tensors.offset != at {
        return Err(OpenError::Manifest);
    }
    for slot in Slot::all(&head.config) {
        let start = table + slot.descriptor_offset();
        let descriptor: Descriptor = decode(source, start..start + Descriptor::BYTES)?.0;
        let fault = |fault| OpenError::Tensor(slot, fault);
        let presence = slot.presence(&head.config);
        if descriptor.format == 0 {
            if presence == Presence::Required {
                return Err(fault(TensorFault::Missing));
            }
            if descriptor != Descriptor::ABSENT {
                return Err(OpenError::Manifest);
            }
            continue;
        }
        if presence == Presence::Never {
            return Err(fault(TensorFault::Surplus));
        }
        let allowed = |format: &Format| format.packing().is_none() || slot.is_matrix();
        let Some(format) = Format::from_code(descriptor.format).filter(allowed) else {
            return Err(fault(TensorFault::Format(descriptor.format)));
        };
        if slot.is_matrix() && !format.is_built() {
            return Err(fault(TensorFault::LeftOut(format)));
        }
        let (need, have) = (slot.shape(&head.config), (descriptor.rows, descriptor.cols));
        if need != have {
            return Err(fault(TensorFault::Shape { need, have }));
        }
        if descriptor.offset != at {
            return Err(fault(TensorFault::Offset { need: at, have: descriptor.offset }));
        }
        let end = descriptor.byte_len().and_then(|bytes| at.checked_add(bytes)).filter(|&end| end <= sections_end);
        let end = end.ok_or(fault(TensorFault::End))?;
        at = end.next_multiple_of(SECTION_ALIGNMENT as u64);
    }
    let Head { tensors, frequencies, tokenizer, .. } = head;
    let end = |section: &Section| section.offset.checked_add(section.bytes);
    let frequency_bytes = frequency_bytes(head);
    let tokenizer_at = at + frequency_bytes.next_multiple_of(SECTION_ALIGNMENT as u64);
    if end(tensors) != Some(at)
        || ROTARY && (frequencies.offset, frequencies.bytes) != (at, frequency_bytes)
        || tokenizer.offset != tokenizer_at
        || end(tokenizer) != Some(sections_end)
    {
        return Err(OpenError::Manifest);
    }
    Ok(())
}

/// Length of the frequencies' section, which a build without rotary positions opens no model with.
const fn frequency_bytes(head: &Head) -> u64 {
    match head.config.positions {
        Positions::Rotary(rotary) if ROTARY => rotary.n_tables() as u64 * (rotary.dim as u64 / 2) * 8,
        _ => 0,
    }
}

/// Decodes the postcard message at the start of `range`, at most [`MIN_BUFFER`] long, and says how long it was.
pub(crate) fn decode<T: for<'de> serde::Deserialize<'de>>(
    source: &mut impl Source,
    range: Range<usize>,
) -> Result<(T, usize), OpenError> {
    let bytes = source.read(range.start, range.len().min(MIN_BUFFER))?;
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| OpenError::Manifest)?;
    Ok((value, bytes.len() - rest.len()))
}

/// Takes the bytes of `range` into `crc`, block by block.
pub(crate) fn update_crc(crc: &mut Crc32, source: &mut impl Source, range: Range<usize>) -> Result<(), ReadError> {
    let mut at = range.start;
    while at < range.end {
        let len = source.max_read().min(range.end - at);
        crc.update(source.read(at, len)?);
        at += len;
    }
    Ok(())
}
