//! Records: the loss of each target of a run, or of a shard of it, for their one sum to be taken later.
//!
//! A file of them is
//!
//! 1. a [`Header`] as one line of JSON, which begins with `{"emberlm_records":1,` and ends with a line feed,
//! 2. the loss of each target in nats, an f32 of four bytes, little-endian, in scored order,
//! 3. the CRC-32 of all that, four bytes, little-endian.

mod error;
mod header;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use error::{RecordsError, RecordsFault};
pub use header::{Arithmetic, Header, Part, Run, TextOfRun};

use super::Shard;
use crate::ground::files::{Fault, FileError, Kind, Output, RECORDS, Wanted, json, read};
use header::VERSION;

/// The longest header: room for half a million files.
const MOST_OF_HEADER: u64 = 64 << 20;

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
