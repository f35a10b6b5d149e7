//! An MPS2 in QEMU at a port.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use emberlm::device::{Board, firmware};

use crate::at_port::{AtPort, blob};
use crate::common::run;
use crate::damage::Damage;

const BOARD: &str = "mps2-an386";

/// The board with a model and the program `cable`, and QEMU's monitor.
fn start(board: &str, blob: &Path, to_board: Damage, to_host: Damage) -> (AtPort, UnixStream) {
    let board = Board::named(board).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = |name: &str| format!("unix:{},server=on,wait=off", folder.path().join(name).display());
    let mut emulator = Command::new(board.family.emulator)
        .args(["-machine", board.machine, "-icount", "shift=0", "-display", "none"])
        .args(board.family.options)
        .args(["-monitor", &socket("monitor"), "-serial", &socket("uart")])
        .arg("-kernel")
        .arg(firmware::build(board, "cable").unwrap())
        .arg("-device")
        .arg(format!("loader,file={},addr={:#x},force-raw=on", blob.display(), board.model.address))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut connect = |name| {
        loop {
            match UnixStream::connect(folder.path().join(name)) {
                Ok(stream) => return stream,
                Err(error) => assert_eq!(emulator.try_wait().unwrap(), None, "{error}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    };
    let (uart, monitor) = (connect("uart"), connect("monitor"));
    (AtPort::new(emulator, (uart.try_clone().unwrap(), to_host), (uart, to_board)), monitor)
}

fn start_well(blob: &Path) -> (AtPort, UnixStream) {
    start(BOARD, blob, Damage::default(), Damage::default())
}

#[test]
fn a_board_at_a_port_gives_the_hosts_bits_and_text() {
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(&folder, "shakespeare-bpe512");
    let (at, _monitor) = start_well(&blob);
    at.scores(&blob, BOARD);
    at.writes(&blob, 24, "f32");
}

#[test]
fn risc_v_too() {
    let (folder, board) = (tempfile::tempdir().unwrap(), "virt-rv32imac");
    let blob = blob(&folder, "shakespeare-char");
    let (at, _monitor) = start(board, &blob, Damage::default(), Damage::default());
    at.scores(&blob, board);
    at.writes(&blob, 8, "f32");
}

#[test]
fn over_a_line_that_damages_what_goes_over_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(&folder, "shakespeare-char");
    // One byte in 50 or so, of the first few thousand.
    let (to_board, to_host) = (Damage::at((3..4000).step_by(53)), Damage::at((5..6000).step_by(61)));
    let (at, _monitor) = start(BOARD, &blob, to_board, to_host);
    at.scores(&blob, BOARD);
    at.writes(&blob, 24, "f32");
}

#[test]
fn a_reset_is_an_error_and_then_the_board_serves_again() {
    let folder = tempfile::tempdir().unwrap();
    let (char, other) = (blob(&folder, "shakespeare-char"), blob(&folder, "shakespeare-bpe512"));
    let (at, monitor) = start_well(&char);
    // Behind the greeting, within the report. The monitor forgets what whoever has gone away asked for.
    let mut button = monitor.try_clone().unwrap();
    at.after(150, move || button.write_all(b"system_reset\n").unwrap());
    let error = at.score(&char, "error", 1, &[]);
    assert_eq!(error["error"]["kind"], "began_anew", "{error}");
    at.scores(&char, BOARD);
    // Another model than the board's is refused before anything is scored.
    let error = at.score(&other, "error", 2, &[]);
    assert_eq!(error["error"]["kind"], "other_model", "{error}");
}

#[test]
fn a_port_that_vanishes_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(&folder, "shakespeare-char");
    let (at, _monitor) = start_well(&blob);
    let port = at.port().to_owned();
    let (gone, wait) = std::sync::mpsc::channel();
    at.after(150, move || gone.send(()).unwrap());
    let unplugged = thread::spawn(move || {
        wait.recv().unwrap();
        drop(at);
    });
    let args = ["device", "score", blob.to_str().unwrap(), "--port", &port, "--prompt", "ROMEO:"];
    let error = run("error", 2, &args);
    assert_eq!(error["error"]["kind"], "port", "{error}");
    unplugged.join().unwrap();
}
