//! Running a program in the emulator, against a deadline.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Board, DeviceError};
use crate::ground::shown;
use crate::ground::signals::{self, Guard, Undo};
use crate::text::stream::TextStream;

/// More output than any report is long.
const MAX_OUTPUT: u64 = 4 << 20;

/// Longer than any run, and short enough for every clock.
const MAX_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// What became of a run that ended by itself.
#[derive(Debug)]
pub struct Run {
    /// The lines that the program printed.
    pub lines: Vec<String>,
    /// How the emulator ended.
    pub status: ExitStatus,
    /// What the emulator itself had to say.
    pub stderr: String,
}

/// The emulator's command line for `program` with files loaded at addresses.
///
/// One instruction takes one nanosecond of the board's time, so that its clock counts instructions.
///
/// # Errors
/// A file's name is not UTF-8.
pub fn command(board: &Board, program: &Path, loads: &[(&Path, u64)]) -> Result<Command, DeviceError> {
    let family = board.family;
    let mut command = Command::new(family.emulator);
    command.args(["-machine", board.machine, "-icount", "shift=0"]);
    command.args(family.options);
    command.args(["-display", "none", "-monitor", "none", "-serial", "none"]);
    command.args(["-semihosting-config", "enable=on,target=native"]);
    command.arg("-kernel").arg(program);
    for &(path, address) in loads {
        let name = path.to_str().ok_or_else(|| DeviceError::PathNotUtf8(path.into()))?;
        // The emulator splits the option at single commas.
        let name = name.replace(',', ",,");
        command.arg("-device").arg(format!("loader,file={name},addr={address:#x},force-raw=on"));
    }
    Ok(command)
}

/// Runs `command` to its end and returns what it printed; `on_line` hears every line as it comes.
///
/// # Errors
/// It does not start, or is not done after `limit`. The process is gone when this returns.
pub fn run(command: Command, limit: Duration, on_line: impl FnMut(&str)) -> Result<Run, DeviceError> {
    run_typed(command, Stdio::null(), limit, on_line)
}

/// As [`run`]; the program reads what `typed` gives.
///
/// # Errors
/// Those of [`run`].
pub fn run_typed(
    mut command: Command,
    typed: Stdio,
    limit: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<Run, DeviceError> {
    let deadline = Instant::now() + limit.min(MAX_LIMIT);
    command.stdin(typed).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = command.get_program().to_owned();
    let process = Process::start(&mut command).map_err(|source| not_started(&program, source))?;
    let failed = |source| DeviceError::Emulator { program: program.to_string_lossy().into(), source };

    let (sender, receiver) = mpsc::channel();
    let stdout = process.child().stdout.take().map(|pipe| pipe.take(MAX_OUTPUT));
    let stdout = thread::spawn(move || {
        let lines = stdout.into_iter().flat_map(|pipe| BufReader::new(pipe).split(b'\n'));
        for line in lines {
            // An error, or nobody who listens, ends the thread: either way there is no more to come.
            let sent = line.map(|line| sender.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()));
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    });
    let stderr = process.child().stderr.take().map(|pipe| pipe.take(MAX_OUTPUT));
    let stderr = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stderr.map(|mut pipe| pipe.read_to_end(&mut bytes));
        read.map_or(Ok(0), |read| read).map(|_| String::from_utf8_lossy(&bytes).trim_end().to_owned())
    });

    let mut lines: Vec<String> = Vec::new();
    let timed_out =
        |lines: &[String]| DeviceError::TimeOut { limit, last_line: lines.last().cloned().unwrap_or_default() };
    loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                on_line(&line);
                lines.push(line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Err(timed_out(&lines)),
        }
    }
    let status = process.wait_until(deadline).map_err(failed)?.ok_or_else(|| timed_out(&lines))?;
    let broken = || failed(io::Error::other("a thread that reads its output panicked"));
    stdout.join().map_err(|_| broken())?;
    let stderr = stderr.join().map_err(|_| broken())?.map_err(failed)?;
    Ok(Run { lines, status, stderr })
}

/// Runs `command` for a person: it has this process's console to itself. Returns how it ended.
///
/// What it writes goes to `out` and `err`, where there are such, escaped as [`shown::lines`] does it.
///
/// # Errors
/// It does not start.
pub fn run_attached(
    mut command: Command,
    out: Option<impl Write + Send>,
    err: Option<impl Write + Send>,
) -> Result<ExitStatus, DeviceError> {
    let program = command.get_program().to_owned();
    if out.is_some() {
        command.stdout(Stdio::piped());
    }
    if err.is_some() {
        command.stderr(Stdio::piped());
    }
    let process = Process::start(&mut command).map_err(|source| not_started(&program, source))?;
    let pipes = (process.child().stdout.take(), process.child().stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| pipes.0.zip(out).map(|(pipe, out)| copy_shown(pipe, out)));
        scope.spawn(|| pipes.1.zip(err).map(|(pipe, err)| copy_shown(pipe, err)));
    });
    let failed = |source| DeviceError::Emulator { program: program.to_string_lossy().into(), source };
    loop {
        if let Some(status) = process.wait_until(Instant::now() + MAX_LIMIT).map_err(failed)? {
            return Ok(status);
        }
    }
}

/// Copies text as it comes until it ends, or nobody reads on.
fn copy_shown(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let (mut stream, mut bytes) = (TextStream::default(), [0; 4096]);
    loop {
        let text = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(n) => stream.push(&bytes[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(shown::lines(&text).as_bytes())?;
        to.flush()?;
    }
    to.write_all(shown::lines(&stream.finish()).as_bytes())?;
    to.flush()
}

fn not_started(program: &OsString, source: io::Error) -> DeviceError {
    let program = program.to_string_lossy().into_owned();
    match source.kind() {
        io::ErrorKind::NotFound => DeviceError::NoEmulator { program },
        _ => DeviceError::Emulator { program, source },
    }
}

/// A child that does not outlive its handle, nor stay behind as a zombie. A signal that ends this program ends it too.
struct Process {
    child: Arc<Mutex<Child>>,
    _guard: Guard,
}

impl Process {
    fn start(command: &mut Command) -> io::Result<Self> {
        let (child, _guard) = signals::guarded(|| {
            let child = Arc::new(Mutex::new(command.spawn()?));
            let same = Arc::clone(&child);
            let undo: Undo = Box::new(move || end(&mut same.lock().unwrap_or_else(PoisonError::into_inner)));
            Ok::<_, io::Error>((child, undo))
        })?;
        Ok(Self { child, _guard })
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the process ended, `None` if it had not by the deadline.
    fn wait_until(&self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            let status = self.child().try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child());
    }
}

fn end(child: &mut Child) {
    // Both fail only for a process that is gone already.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::device::BOARDS;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_and_the_end_come_through() {
        let mut heard = Vec::new();
        let script = "echo a: 1; echo oops >&2; printf 'b: 2\\r\\nc'; exit 3";
        let run = run(shell(script), LONG, |line| heard.push(line.to_owned())).unwrap();
        assert_eq!(run.lines, ["a: 1", "b: 2", "c"]);
        assert_eq!(heard, run.lines);
        assert_eq!((run.status.code(), run.stderr.as_str()), (Some(3), "oops"));
    }

    #[test]
    fn a_time_out_ends_the_process() {
        let mut pid = String::new();
        let limit = Duration::from_millis(300);
        for script in ["echo $$; exec sleep 600", "echo $$; exec sleep 600 >&- 2>&-"] {
            let error = run(shell(script), limit, |line| pid = line.to_owned()).unwrap_err();
            assert!(matches!(&error, DeviceError::TimeOut { last_line, .. } if *last_line == pid), "{error}");
            let alive = Command::new("kill").args(["-0", &pid]).stderr(Stdio::null()).status().unwrap();
            assert!(!alive.success(), "{script}: still there");
        }
    }

    #[test]
    fn a_missing_emulator_is_named() {
        let error = run(Command::new("no-such-emulator"), LONG, |_| {}).unwrap_err();
        assert!(matches!(error, DeviceError::NoEmulator { program } if program == "no-such-emulator"));
    }

    #[test]
    fn what_a_board_says_is_shown_and_does_not_act() {
        /// Gives one byte at a time, as a slow board does.
        struct Slow<'b>(&'b [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let n = self.0.len().min(1);
                out[..n].copy_from_slice(&self.0[..n]);
                self.0 = &self.0[n..];
                Ok(n)
            }
        }
        let mut shown = Vec::new();
        copy_shown(Slow("> \u{e9}\n\x1b[2J\u{9b}1m\t".as_bytes()), &mut shown).unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), "> \u{e9}\n\\u{1b}[2J\\u{9b}1m\t");
    }

    #[test]
    fn commas_in_names_are_doubled() {
        let command = command(&BOARDS[0], Path::new("score"), &[(Path::new("a,b"), 0x10)]).unwrap();
        assert_eq!(command.get_args().last().unwrap(), "loader,file=a,,b,addr=0x10,force-raw=on");
    }
}
