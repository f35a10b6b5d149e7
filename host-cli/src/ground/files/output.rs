//! Files that appear whole or not at all, and the one place that decides what may be written.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use super::identity::{FileId, Inputs, folder_of};
use super::kind::Kind;
use super::part::{self, PartError};
use super::read::special;
use crate::ground::shown;
use crate::ground::signals::{self, Guard, Undo};

/// What an output may replace.
#[derive(Clone, Debug, Default)]
pub struct Permit {
    /// What is read, and never replaced.
    pub inputs: Inputs,
    /// Whether an existing file may be replaced that this tool did not write.
    pub force: bool,
}

/// Whether a file is one that this tool wrote, and can write again.
pub type IsOurs = fn(&Path) -> bool;

/// Whether a file is a blob.
pub fn is_blob(path: &Path) -> bool {
    matches!(Kind::of(path), Ok(Kind::Blob))
}

/// A file that is not written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", shown::path(path))]
pub struct OutputError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub fault: OutputFault,
}

/// Why a file is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputFault {
    /// It is read.
    #[error("the output is {}, which is read: name another file", shown::path(.0))]
    Input(PathBuf),
    /// It is no file, and what it is would be lost or changed.
    #[error("the output is {0}, and only regular files are written: name another file")]
    Special(&'static str),
    /// It is a folder.
    #[error("the output is a folder: name a file in it")]
    Folder,
    /// It is the name of standard output.
    #[error("nothing is written to standard output but reports: name a file, as ./- if this is its name")]
    StandardOutput,
    /// It is a link to nothing.
    #[error("the output is a link to {}, which does not exist: name the file itself, or remove the link", shown::path(.0))]
    Dangling(PathBuf),
    /// It is there, and not ours.
    #[error("the output exists and is {}: name another file, or replace it with --force", .0.name())]
    Exists(Kind),
    /// It is protected.
    #[error(
        "the output exists and is read-only, and --force does not change that: name another file, or make it writable"
    )]
    ReadOnly,
    /// Its folder is not there.
    #[error("there is no folder {}", shown::path(.0))]
    NoFolder(PathBuf),
    /// It cannot be begun.
    #[error(transparent)]
    Part(#[from] PartError),
    /// The system does not let it be written.
    #[error("cannot write it: {0}")]
    Io(#[from] io::Error),
}

impl OutputError {
    fn new(path: &Path, fault: impl Into<OutputFault>) -> Self {
        Self { path: path.to_owned(), fault: fault.into() }
    }

    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self.fault {
            OutputFault::Io(_) | OutputFault::NoFolder(_) | OutputFault::Part(PartError::Io(_)) => "io",
            _ => "output_refused",
        }
    }
}

/// Where an output goes.
#[derive(Debug)]
struct Target {
    /// The file itself, where a link was named.
    path: PathBuf,
    /// What it is now, if anything.
    existing: Option<Metadata>,
}

/// Checks that an output may be written to `path`. Through a link, the file that it stands for is written, and the link
/// stays.
///
/// # Errors
/// Why it may not.
pub fn check(path: &Path, permit: &Permit, is_ours: IsOurs) -> Result<(), OutputError> {
    target(path, permit, is_ours).map(drop).map_err(|fault| OutputError::new(path, fault))
}

fn target(path: &Path, permit: &Permit, is_ours: IsOurs) -> Result<Target, OutputFault> {
    if path == Path::new("-") {
        return Err(OutputFault::StandardOutput);
    }
    let names_folder = path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let existing = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Err(_) => {
            if let Ok(target) = fs::read_link(path) {
                return Err(OutputFault::Dangling(target));
            }
            let folder = folder_of(path);
            return match folder.is_dir() {
                _ if names_folder => Err(OutputFault::Folder),
                false => Err(OutputFault::NoFolder(folder.to_owned())),
                true => Ok(Target { path: path.to_owned(), existing: None }),
            };
        }
    };
    if existing.is_dir() {
        return Err(OutputFault::Folder);
    }
    if let Some(what) = special(existing.file_type()) {
        return Err(OutputFault::Special(what));
    }
    if let Some(input) = permit.inputs.name_of(&FileId::with_metadata(path, &existing)?) {
        return Err(OutputFault::Input(input.to_owned()));
    }
    // Whoever may write everything still sees that somebody protected it.
    if existing.permissions().readonly() {
        return Err(OutputFault::ReadOnly);
    }
    // Whoever may write the folder only could replace what somebody else owns.
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(OutputFault::ReadOnly),
        opened => drop(opened?),
    }
    if !permit.force && !is_ours(path) {
        return Err(OutputFault::Exists(Kind::of(path).unwrap_or(Kind::Unknown)));
    }
    Ok(Target { path: fs::canonicalize(path)?, existing: Some(existing) })
}

/// A file under way: it has a temporary name beside its own until [`Output::finish`], and is gone if that never comes, by
/// an error or by a signal.
#[derive(Debug)]
pub struct Output {
    file: NamedTempFile,
    _guard: Guard,
    path: PathBuf,
    permit: Permit,
    is_ours: IsOurs,
}

impl Output {
    /// Begins the file that will be `path`.
    ///
    /// # Errors
    /// It may not be written, its folder cannot be, or another process is writing it.
    pub fn begin(path: &Path, permit: &Permit, is_ours: IsOurs) -> Result<Self, OutputError> {
        let failed = |fault| OutputError::new(path, fault);
        let target = target(path, permit, is_ours).map_err(failed)?;
        let temporary = part::path_of(&target.path);
        // What replaces a private file is private from its first byte.
        let is_new = target.existing.is_none();
        let (file, _guard) = signals::guarded(|| {
            let file = part::create(&temporary, is_new)?;
            let path = TempPath::try_from_path(&temporary)?;
            let undo: Undo = Box::new(move || {
                // Whoever is ended by a signal has no other way to get rid of it.
                let _ = fs::remove_file(temporary);
            });
            Ok::<_, OutputFault>((NamedTempFile::from_parts(file, path), undo))
        })
        .map_err(failed)?;
        Ok(Self { file, _guard, path: path.to_owned(), permit: permit.clone(), is_ours })
    }

    /// The file, to be written.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Where the bytes written so far can be read.
    pub fn temporary_path(&self) -> &Path {
        self.file.path()
    }

    /// The path that it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name. What had it is replaced, if that may be, and leaves its permissions and its owner.
    ///
    /// # Errors
    /// The bytes did not reach the disk, or the name was taken in the meantime by what may not be replaced.
    pub fn finish(self) -> Result<(), OutputError> {
        let Self { file, _guard, path, permit, is_ours } = self;
        let replace = || {
            file.as_file().sync_all()?;
            let target = target(&path, &permit, is_ours)?;
            match &target.existing {
                Some(existing) => {
                    keep_permissions(file.as_file(), existing)?;
                    file.persist(&target.path)
                }
                None => file.persist_noclobber(&target.path),
            }
            .map_err(|error| OutputFault::Io(error.error))
        };
        replace().map(drop).map_err(|fault| OutputError::new(&path, fault))
    }
}

/// Gives `file` the permissions, and where that is allowed the owner, of what it replaces.
fn keep_permissions(file: &File, replaced: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (replaced.uid(), replaced.gid()) {
            // Only the superuser can give files away; the group may still be one's own.
            let _ = fchown(file, Some(replaced.uid()), Some(replaced.gid()))
                .or_else(|_| fchown(file, None, Some(replaced.gid())));
        }
    }
    file.set_permissions(replaced.permissions())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use tempfile::TempDir;

    const BLOB: &[u8] = b"EMBERLM\0";

    fn begin(path: &Path, permit: &Permit) -> Result<Output, OutputError> {
        Output::begin(path, permit, is_blob)
    }

    fn write(path: &Path, bytes: &[u8], permit: &Permit) -> Result<(), OutputError> {
        let mut output = begin(path, permit)?;
        output.file().write_all(bytes).unwrap();
        output.finish()
    }

    fn fault(path: &Path, permit: &Permit) -> OutputFault {
        write(path, BLOB, permit).unwrap_err().fault
    }

    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.blob");
        let mut output = begin(&path, &Permit::default()).unwrap();
        output.file().write_all(b"half").unwrap();
        assert_eq!(names(&folder), [".model.blob.emberlm-part"]);
        drop(output);
        assert!(names(&folder).is_empty());
        write(&path, BLOB, &Permit::default()).unwrap();
        assert_eq!(names(&folder), ["model.blob"]);
        let long = folder.path().join("x".repeat(part::LONGEST_NAME));
        write(&long, BLOB, &Permit::default()).unwrap();
        assert_eq!(fs::read(&long).unwrap(), BLOB);
    }

    #[test]
    fn only_what_this_tool_wrote_is_replaced_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let forced = Permit { force: true, ..Permit::default() };
        for precious in [b"notes".as_slice(), b"", b"\0\x01"] {
            fs::write(&path, precious).unwrap();
            assert!(matches!(fault(&path, &Permit::default()), OutputFault::Exists(_)));
            assert_eq!(fs::read(&path).unwrap(), precious);
        }
        write(&path, BLOB, &forced).unwrap();
        write(&path, BLOB, &Permit::default()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        for permit in [&forced, &Permit::default()] {
            assert!(matches!(fault(&path, permit), OutputFault::ReadOnly));
        }
        assert_eq!(names(&folder), ["file"]);
    }

    #[test]
    fn what_is_no_file_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let forced = Permit { force: true, ..Permit::default() };
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        symlink("socket", at("to-socket")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        assert!(matches!(fault(&at("socket"), &forced), OutputFault::Special("a socket")));
        assert!(matches!(fault(&at("to-socket"), &forced), OutputFault::Special("a socket")));
        assert!(matches!(fault(&at("dangling"), &forced), OutputFault::Dangling(_)));
        for name in ["", ".", "new/", "new/..", "socket/.."] {
            assert!(begin(&at(name), &forced).is_err(), "{name}");
        }
        assert!(matches!(fault(&at("no/file"), &forced), OutputFault::NoFolder(_)));
        assert!(matches!(fault(Path::new("-"), &forced), OutputFault::StandardOutput));
        assert_eq!(names(&folder), ["dangling", "socket", "to-socket"]);
    }

    #[test]
    fn a_link_stays_and_its_file_is_written_with_its_permissions() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (link, file) = (folder.path().join("link"), other.path().join("model.blob"));
        fs::write(&file, BLOB).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        let mut output = begin(&link, &Permit::default()).unwrap();
        assert_eq!(names(&other), [".model.blob.emberlm-part", "model.blob"]);
        assert_eq!(output.file().metadata().unwrap().mode() & 0o777, 0o600);
        output.file().write_all(b"EMBERLM\0 again").unwrap();
        output.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"EMBERLM\0 again");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn inputs_are_refused_by_every_name_even_if_forced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("book.txt"), BLOB).unwrap();
        fs::hard_link(at("book.txt"), at("hard")).unwrap();
        symlink("book.txt", at("soft")).unwrap();
        fs::create_dir(at("sub")).unwrap();
        let permit = Permit { inputs: Inputs::default().with_file(&at("soft")), force: true };
        for name in ["book.txt", "hard", "soft", "sub/../book.txt", "./book.txt"] {
            assert!(matches!(fault(&at(name), &permit), OutputFault::Input(_)), "{name}");
        }
    }

    #[test]
    fn two_writers_do_not_meet_and_a_leftover_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.blob");
        let permit = Permit::default();
        let first = begin(&path, &permit).unwrap();
        assert!(matches!(fault(&path, &permit), OutputFault::Part(PartError::Busy(_))));
        first.finish().unwrap();
        fs::remove_file(&path).unwrap();
        // As a writer leaves it that was killed: nothing holds its lock.
        fs::write(part::path_of(&path), "left behind").unwrap();
        write(&path, BLOB, &permit).unwrap();
        assert_eq!(names(&folder), ["model.blob"]);
        symlink("elsewhere", part::path_of(&path)).unwrap();
        assert!(matches!(fault(&path, &permit), OutputFault::Part(PartError::InTheWay(_))));
    }

    #[test]
    fn what_takes_the_name_in_the_meantime_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.blob");
        let output = begin(&path, &Permit::default()).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(output.finish().unwrap_err().fault, OutputFault::Exists(Kind::Text)));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        assert_eq!(names(&folder), ["model.blob"]);
    }
}
