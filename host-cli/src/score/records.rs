//! Records: the loss of each target of a run, or of a shard of it, for their one sum to be taken later.
//!
//! A file of them is
//!
//! 1. a [`Header`] as one line of JSON, which begins with `{"emberlm_records":1,` and ends with a line feed,
//! 2. the loss of each target in nats, an f32 of four bytes, little-endian, in scored order,
//! 3. the CRC-32 of all that, four bytes, little-endian.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use emberlm_core::config::{Activations, TokenId};
use emberlm_core::kv_cache::KvType;
use emberlm_core::window::Convention;
use serde::{Deserialize, Serialize};

use super::{Bos, Shard, Task, Windowing};
use crate::ground::files::{Fault, FileError, Kind, Output, OutputError, RECORDS, Wanted, json, read};
use crate::ground::{named, shown};

/// Version of the layout of bytes.
const VERSION: u16 = 1;

/// The longest header: room for half a million files.
const MOST_OF_HEADER: u64 = 64 << 20;

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
        };
        Self { emberlm_records: VERSION, run, part }
    }

    /// Which part it is of the run.
    fn shard(&self) -> Result<Shard, String> {
        let (index, of) = (self.part.shard, self.run.shards);
        Shard::new(index, of).ok_or_else(|| format!("there is no shard {index}/{of}"))
    }

    /// Checks that the words in it are known, and that its numbers fit each other.
    fn check(&self) -> Result<(), String> {
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

/// Why records are not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// A file cannot be read, or is something else.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file may not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// What is wrong with a file's records.
    #[error("{}: {}", shown::path(path), shown::message(fault))]
    Records {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: RecordsFault,
    },
}

/// What is wrong with a file's records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsFault {
    /// They are of another layout.
    #[error("its records are of version {0}, and {VERSION} is needed: score its shard with this program")]
    Version(u64),
    /// The header is no header.
    #[error("its header is damaged, {0}: score its shard again")]
    Header(String),
    /// Bytes are missing.
    #[error("it is cut off after {have} of {need} bytes: score shard {shard} again")]
    CutOff {
        /// Its length.
        have: u64,
        /// What its header asks for.
        need: u64,
        /// Which shard it is.
        shard: Shard,
    },
    /// There are too many bytes.
    #[error("{0} bytes follow its records: score shard {1} again")]
    Trailing(u64, Shard),
    /// Some byte is not what was written.
    #[error("it is damaged, its CRC-32 is {found:08x} and {stated:08x} is stated: score its shard again")]
    Crc {
        /// That of the bytes.
        found: u32,
        /// That at their end.
        stated: u32,
    },
    /// It is of another run.
    #[error("its {field} is {own}, and that of {} is {others}: only shards of one run are merged", shown::path(other))]
    Disagrees {
        /// What differs.
        field: String,
        /// What it is here.
        own: String,
        /// The file that it is compared with.
        other: PathBuf,
        /// What it is there.
        others: String,
    },
    /// Another file holds the same windows.
    #[error("it holds shard {shard}, as does {}: name one of them", shown::path(other))]
    Overlap {
        /// Which shard it is.
        shard: Shard,
        /// The other file.
        other: PathBuf,
    },
    /// Some windows are in no file.
    #[error("it holds one of {of} shards, and {missing} missing: score what is missing, and name all files")]
    Missing {
        /// Which ones, with a verb.
        missing: String,
        /// How many there are.
        of: u32,
    },
    /// The system does not let it be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl RecordsError {
    /// What is wrong with the records in the file at `path`.
    pub fn new(path: &Path, fault: impl Into<RecordsFault>) -> Self {
        Self::Records { path: path.to_owned(), fault: fault.into() }
    }

    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Output(error) => error.kind(),
            Self::Records { fault: RecordsFault::Io(_), .. } => "io",
            Self::Records { .. } => "records",
        }
    }
}

/// Whether a file holds records.
pub fn is_records(path: &Path) -> bool {
    matches!(Kind::of(path), Ok(Kind::Records))
}

/// Writes the losses of `header`'s part, a list a window.
///
/// # Errors
/// The file cannot be written.
pub fn write(mut output: Output, header: &Header, nlls: &[Vec<f32>]) -> Result<(), RecordsError> {
    let path = output.path().to_owned();
    let bytes = |file: &mut File| -> io::Result<()> {
        let (mut file, mut crc) = (BufWriter::new(file), crc32fast::Hasher::new());
        let mut put = |bytes: &[u8]| {
            crc.update(bytes);
            file.write_all(bytes)
        };
        put((serde_json::to_string(header)? + "\n").as_bytes())?;
        nlls.iter().flatten().try_for_each(|nll| put(&nll.to_le_bytes()))?;
        file.write_all(&crc.finalize().to_le_bytes())?;
        file.flush()
    };
    bytes(output.file()).map_err(|error| RecordsError::new(&path, error))?;
    Ok(output.finish()?)
}

/// A file of records that is whole.
#[derive(Debug)]
pub struct Records {
    /// The file.
    pub path: PathBuf,
    /// What it says of itself.
    pub header: Header,
    /// Which part it is of the run.
    pub shard: Shard,
    header_bytes: u64,
}

impl Records {
    /// Opens the file at `path`, and checks every byte of it.
    ///
    /// # Errors
    /// It holds no records, or not those that were written.
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        let failed = |fault: RecordsFault| RecordsError::new(path, fault);
        Wanted::Records.check(path)?;
        let file = read::open(path)?;
        let have = file.metadata().map_err(|error| failed(error.into()))?.len();
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        reader.by_ref().take(MOST_OF_HEADER).read_until(b'\n', &mut line).map_err(|error| failed(error.into()))?;
        if !line.starts_with(RECORDS) {
            let (found, wanted) = (Kind::Unknown, Wanted::Records);
            return Err(FileError::new(path, Fault::Kind { found, wanted }).into());
        }
        let (header, shard) = header(&line).map_err(failed)?;
        let need = (line.len() as u64 + 4).saturating_add(header.part.tokens_scored.saturating_mul(4));
        match have {
            _ if have < need => return Err(failed(RecordsFault::CutOff { have, need, shard })),
            _ if have > need => return Err(failed(RecordsFault::Trailing(have - need, shard))),
            _ => {}
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&line);
        let mut records = reader.by_ref().take(need - 4 - line.len() as u64);
        loop {
            let bytes = records.fill_buf().map_err(|error| failed(error.into()))?;
            let n = bytes.len();
            if n == 0 {
                break;
            }
            crc.update(bytes);
            records.consume(n);
        }
        let mut stated = [0; 4];
        reader.read_exact(&mut stated).map_err(|error| failed(error.into()))?;
        let (found, stated) = (crc.finalize(), u32::from_le_bytes(stated));
        if found != stated {
            return Err(failed(RecordsFault::Crc { found, stated }));
        }
        Ok(Self { path: path.to_owned(), header, shard, header_bytes: line.len() as u64 })
    }

    /// Hands `take` the losses, in scored order.
    ///
    /// # Errors
    /// The file can no longer be read.
    pub fn each(&self, mut take: impl FnMut(f32)) -> Result<(), RecordsError> {
        let mut reader = BufReader::new(read::open(&self.path)?);
        let mut all = || -> io::Result<()> {
            io::copy(&mut reader.by_ref().take(self.header_bytes), &mut io::sink())?;
            for _ in 0..self.header.part.tokens_scored {
                let mut nll = [0; 4];
                reader.read_exact(&mut nll)?;
                take(f32::from_le_bytes(nll));
            }
            Ok(())
        };
        all().map_err(|error| RecordsError::new(&self.path, error))
    }
}

/// The header in the first line of a file of records.
fn header(line: &[u8]) -> Result<(Header, Shard), RecordsFault> {
    #[derive(Deserialize)]
    struct Versioned {
        emberlm_records: u64,
    }
    let damaged = RecordsFault::Header;
    if !line.ends_with(b"\n") {
        return Err(damaged("the file ends in it".into()));
    }
    let Versioned { emberlm_records: version } = json::parse(line).map_err(damaged)?;
    if version != u64::from(VERSION) {
        return Err(RecordsFault::Version(version));
    }
    let header: Header = json::parse(line).map_err(damaged)?;
    header.check().map_err(damaged)?;
    let shard = header.shard().map_err(damaged)?;
    Ok((header, shard))
}
