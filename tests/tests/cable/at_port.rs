//! A board behind a pseudo-terminal, by a bridge that may damage what goes over it.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use emberlm::text::tokenizer::select::Search;
use emberlm_core::format::Format;
use emberlm_tests::{blobs, fixtures};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{command, run};
use crate::damage::Damage;
use crate::terminal::Terminal;

/// What is scored.
const TEXT: &str = "First Citizen: You are all resolved rather to die than to famish?";

/// A bundled model in a file.
pub fn blob(folder: &TempDir, name: &str) -> PathBuf {
    let bundled = fixtures::bundled(name);
    let search = Search { named: bundled.to_str(), ..Search::default() };
    let parts = search.find().unwrap().tokenizer.section_parts().unwrap();
    let blob = folder.path().join(name).with_extension("blob");
    fs::write(&blob, &*blobs::of_checkpoint(&bundled, Format::Q8, Some(parts))).unwrap();
    blob
}

/// An emulator and the port that its board is at.
pub struct AtPort {
    emulator: Child,
    terminal: Terminal,
    /// Bytes that have come from the board.
    n_sent: Arc<AtomicUsize>,
}

impl AtPort {
    /// Carries bytes between the port and an emulator's ends of the line.
    pub fn new(
        emulator: Child,
        (mut from_board, to_host): (impl Read + Send + 'static, Damage),
        (mut to_board, to_device): (impl Write + Send + 'static, Damage),
    ) -> Self {
        let (terminal, n_sent) = (Terminal::new(), Arc::new(AtomicUsize::new(0)));
        let end = terminal.end.try_clone().unwrap();
        thread::spawn(move || {
            let write = |bytes: &[u8]| to_board.write_all(bytes).and_then(|()| to_board.flush());
            carry(|bytes| end.read(bytes), to_device, write);
        });
        let (end, n) = (terminal.end.try_clone().unwrap(), n_sent.clone());
        thread::spawn(move || {
            let read = |bytes: &mut [u8]| {
                let more = from_board.read(bytes)?;
                n.fetch_add(more, Ordering::Relaxed);
                Ok(more)
            };
            carry(read, to_host, |bytes| end.write_all(bytes));
        });
        Self { emulator, terminal, n_sent }
    }

    pub fn port(&self) -> &str {
        self.terminal.path.to_str().unwrap()
    }

    /// Does something once the board has sent so many bytes more.
    pub fn after(&self, n_bytes: usize, then: impl FnOnce() + Send + 'static) {
        let n_sent = self.n_sent.clone();
        let until = n_sent.load(Ordering::Relaxed) + n_bytes;
        thread::spawn(move || {
            while n_sent.load(Ordering::Relaxed) < until {
                thread::sleep(Duration::from_millis(1));
            }
            then();
        });
    }

    /// What `device score` says of a text, or of other words in its place.
    pub fn score(&self, blob: &Path, schema: &str, code: i32, more: &[&str]) -> Value {
        let args = ["device", "score", blob.to_str().unwrap(), "--port", self.port(), "--check", "--timeout", "600"];
        let text = ["--prompt", TEXT];
        run(schema, code, &[&args[..], if more.is_empty() { &text[..] } else { more }].concat())
    }

    /// What the console shows of these lines.
    pub fn type_in(&self, lines: &str) -> String {
        let typed = command().args(["device", "console", "--port", self.port()]).write_stdin(lines).assert().code(0);
        String::from_utf8(typed.get_output().stdout.clone()).unwrap()
    }

    /// Scores to the host's bits.
    pub fn scores(&self, blob: &Path, board: &str) -> Value {
        let report = self.score(blob, "device_score", 0, &[]);
        assert_eq!((&report["equals_host"], &report["board"]), (&true.into(), &board.into()), "{report}");
        report
    }

    /// Writes the host's text of `n` tokens, with keys and values of type `kv`.
    pub fn writes(&self, blob: &Path, n: usize, kv: &str) -> String {
        let (prompt, n) = ("ROMEO:", n.to_string());
        let args = ["generate", blob.to_str().unwrap(), "--prompt", prompt, "--max-tokens", &n, "--seed", "3"];
        let host = run("generate", 0, &[&args[..], &["--kv", kv]].concat());
        let shown = self.type_in(&format!(":max-tokens {n}\n:seed 3\n{prompt}\n"));
        let (head, answer) = shown.split_once("\n> > > ").unwrap();
        let (text, _) = answer.rsplit_once("\n-- ").unwrap();
        assert_eq!(host["text"], text);
        assert!(head.contains("self_test: passed") && head.contains(&format!("kv: {kv}\n")), "{head}");
        assert!(shown.ends_with("\ndone: ok\n"), "{shown}");
        shown
    }
}

impl Drop for AtPort {
    fn drop(&mut self) {
        self.emulator.kill().unwrap();
        self.emulator.wait().unwrap();
    }
}

/// Carries bytes over, until either side is gone.
fn carry(
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
    mut damage: Damage,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) {
    let mut bytes = [0; 256];
    loop {
        let n = match read(&mut bytes) {
            Ok(0) => return,
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::TimedOut => continue,
            Err(_) => return,
        };
        let came: Vec<u8> = bytes[..n].iter().flat_map(|&byte| damage.pass(byte)).collect();
        if write(&came).is_err() {
            return;
        }
    }
}
