//! Whole files of a limited size, and standard input.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;

use super::json;
use super::{Fault, FileError};

/// The most bytes of a configuration, a name map or a list of characters: 16 MiB.
pub const MOST_OF_CONFIG: u64 = 16 << 20;

/// The most bytes of a tokenizer's file or of an index of shards: 256 MiB.
pub const MOST_OF_TOKENIZER: u64 = 256 << 20;

/// What editors put before a text to say that it is UTF-8: U+FEFF.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Opens a regular file for reading, through links. Anything else is refused before it is opened: a pipe would wait for
/// a writer, and opening a device can have effects.
///
/// # Errors
/// It is no regular file, or the system does not let it be read.
pub fn open(path: &Path) -> Result<File, FileError> {
    regular(path, &fs::metadata(path).map_err(|error| missing(path, &error))?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    // What took the file's place in between does not make this wait either.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path).map_err(|error| FileError::io(path, &error))?;
    regular(path, &file.metadata().map_err(|error| FileError::io(path, &error))?)?;
    Ok(file)
}

/// Whether something has the name, a link to nothing and a special file included: what lies beside a checkpoint is read
/// or refused, and never overlooked.
pub fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The bytes of a regular file of at most `most` bytes.
///
/// # Errors
/// It is no regular file, cannot be read, or is longer.
pub fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    limited(open(path)?, most).map_err(|error| FileError::io(path, &error)).and_then(|bytes| match bytes {
        Some(bytes) => Ok(bytes),
        None => Err(FileError::new(path, Fault::TooLarge { most })),
    })
}

/// The text of a regular file of at most `most` bytes, without the byte order mark that it may begin with.
///
/// # Errors
/// Those of [`bytes`](bytes()), or it is not UTF-8.
pub fn text(path: &Path, most: u64) -> Result<String, FileError> {
    let text = utf8(bytes(path, most)?).map_err(|fault| FileError::new(path, fault))?;
    Ok(match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// What the JSON in a regular file of at most `most` bytes stands for. A byte order mark is skipped.
///
/// # Errors
/// Those of [`text`], a key stands twice in one object, or the JSON is damaged or no `T`.
pub fn json<T: DeserializeOwned>(path: &Path, most: u64) -> Result<T, FileError> {
    json::parse(text(path, most)?.as_bytes()).map_err(|why| FileError::new(path, Fault::Json(why)))
}

/// Everything that `reader` gives; `None` if that is more than `most` bytes, of which no more are read.
///
/// # Errors
/// Reading fails.
pub fn limited(reader: impl Read, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// Bytes as text, a byte order mark included.
///
/// # Errors
/// They are UTF-16 or UTF-32, or not UTF-8 from some byte on.
pub fn utf8(bytes: Vec<u8>) -> Result<String, Fault> {
    match encoding(&bytes) {
        Some(name) => Err(Fault::Encoding(name)),
        None => String::from_utf8(bytes).map_err(|error| Fault::NotUtf8 { offset: error.utf8_error().valid_up_to() }),
    }
}

/// The encoding of a text that is not UTF-8, by its byte order mark or by the zeros between its letters.
pub(super) fn encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("UTF-16"),
        _ => {}
    }
    let pairs = bytes.get(..16)?.as_chunks::<2>().0;
    let printable = |byte: u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let is_utf16 =
        pairs.iter().all(|&[a, b]| a == 0 && printable(b)) || pairs.iter().all(|&[a, b]| b == 0 && printable(a));
    is_utf16.then_some("UTF-16")
}

/// What a file is that is neither a regular one nor a folder.
pub(super) fn special(kind: FileType) -> Option<&'static str> {
    if kind.is_file() || kind.is_dir() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    Some("a special file")
}

fn regular(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    if metadata.is_dir() {
        return Err(FileError::new(path, Fault::Folder));
    }
    special(metadata.file_type()).map_or(Ok(()), |what| Err(FileError::new(path, Fault::Special(what))))
}

/// What the system said of a file that it does not find; a link to nothing is told from a missing name.
fn missing(path: &Path, error: &io::Error) -> FileError {
    match fs::read_link(path) {
        Ok(target) if error.kind() == io::ErrorKind::NotFound => FileError::new(path, Fault::Dangling(target)),
        _ => FileError::io(path, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn a_byte_order_mark_is_skipped_and_other_encodings_are_named() {
        let read = |bytes: &[u8]| text(file(bytes).path(), 100).map_err(|error| error.fault);
        assert_eq!(read("\u{feff}a\u{feff}é".as_bytes()), Ok("a\u{feff}é".into()));
        assert_eq!(read(b""), Ok(String::new()));
        let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            assert_eq!(read(&utf16("\u{feff}é", order)), Err(Fault::Encoding("UTF-16")));
            assert_eq!(read(&utf16("{\"n_embd\": 4}", order)), Err(Fault::Encoding("UTF-16")));
        }
        assert_eq!(read(&[0xff, 0xfe, 0, 0, b'a', 0, 0, 0]), Err(Fault::Encoding("UTF-32")));
        assert_eq!(read(b"ab\xff"), Err(Fault::NotUtf8 { offset: 2 }));
    }

    #[test]
    fn no_more_is_read_than_the_limit_says() {
        let file = file(b"12345");
        assert_eq!(bytes(file.path(), 5).unwrap(), b"12345");
        assert_eq!(bytes(file.path(), 4).unwrap_err().fault, Fault::TooLarge { most: 4 });
        assert_eq!(limited(io::repeat(b'a'), 1000).unwrap(), None);
        assert_eq!(limited(io::repeat(b'a').take(1000), 1000).unwrap().unwrap().len(), 1000);
    }

    #[test]
    #[cfg(unix)]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("socket"), at("link")).unwrap();
        std::os::unix::fs::symlink("nothing", at("dangling")).unwrap();
        let fault = |name: &str| open(&at(name)).unwrap_err().fault;
        assert_eq!(fault("socket"), Fault::Special("a socket"));
        assert_eq!(fault("link"), Fault::Special("a socket"));
        assert_eq!(fault("dangling"), Fault::Dangling("nothing".into()));
        assert_eq!(fault(""), Fault::Folder);
        assert!(matches!(fault("absent"), Fault::Io { kind: io::ErrorKind::NotFound, .. }));
        assert!(is_there(&at("dangling")) && !is_there(&at("absent")));
    }
}
