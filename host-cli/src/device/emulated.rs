//! Scoring in the emulator: the firmware is built, handed a blob and a request, and run.

use std::io;
use std::path::{self, Path, PathBuf};

use emberlm_request::report::parse_progress;

use super::{DeviceError, DeviceReport, Emulated, Job, Medium, Progress, emulator, firmware, report};
use crate::ground::files::temporary::TemporaryFolder;

/// Runs the job on that board.
pub(super) fn score(
    job: &Job<'_>,
    emulated: &Emulated<'_>,
    mut progress: impl FnMut(Progress),
) -> Result<DeviceReport, DeviceError> {
    let &Emulated { board, blob, medium, firmware } = emulated;
    if medium == Medium::Memory {
        board.check_blob(blob)?;
    }
    if let Some(program) = firmware {
        firmware::check(program, board)?;
    }
    let folder = TemporaryFolder::new().map_err(DeviceError::Request)?;
    let request = write_request(job, emulated, folder.path())?;
    let built;
    let program = match firmware {
        Some(program) => program,
        None => {
            progress(Progress::Building);
            built = firmware::find(board, medium.program())?;
            built.path()
        }
    };
    let request = (request.as_path(), board.request.address);
    let command = match medium {
        Medium::Memory => {
            let model = (blob, board.model.address);
            emulator::command(board, program, &[model, request])?
        }
        Medium::Card => {
            write_card(blob, folder.path()).map_err(DeviceError::Card)?;
            let program = path::absolute(program).map_err(DeviceError::Card)?;
            let mut command = emulator::command(board, &program, &[request])?;
            command.current_dir(folder.path());
            command
        }
    };
    progress(Progress::Running);
    let run = emulator::run(command, job.timeout, |line| {
        if let Some((done, total)) = parse_progress(line) {
            progress(Progress::Scored { done, total });
        }
    })?;
    report::parse(&run, board, medium)
}

/// Puts the blob into the folder as `model.blob`, for a program to find.
fn write_card(blob: &Path, folder: &Path) -> io::Result<()> {
    let (blob, file) = (path::absolute(blob)?, folder.join("model.blob"));
    #[cfg(unix)]
    std::os::unix::fs::symlink(blob, file)?;
    #[cfg(not(unix))]
    std::fs::copy(blob, file)?;
    Ok(())
}

fn write_request(job: &Job<'_>, emulated: &Emulated<'_>, folder: &Path) -> Result<PathBuf, DeviceError> {
    let request = job.request()?;
    let Emulated { board, .. } = emulated;
    let (need, have) = (request.len() as u64, board.request.bytes);
    if need > have {
        return Err(DeviceError::RequestTooLarge { board: board.name, need, have });
    }
    let path = folder.join("request");
    std::fs::write(&path, &request).map_err(DeviceError::Request)?;
    Ok(path)
}
