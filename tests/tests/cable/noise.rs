//! What goes over a cable: whatever the line does to it, what arrives is what was sent, or an error says that it did not.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use emberlm::device::cable::{CableError, Line, Patience, Session};
use emberlm_core::crc::crc32;
use emberlm_request::cable::{Closed, Deframer, Device, FRAME_BYTES, Frame, PART_BYTES, Part, Program, Wire};
use proptest::prelude::*;

use crate::damage::{Damage, damage};

const BOARD: &str = "made-up";

const PATIENCE: Patience = Patience { shortest: Duration::from_millis(3), longest: Duration::from_millis(12) };

/// Far beyond what any session takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// One direction of a line.
struct Way {
    to: Sender<u8>,
    damage: Damage,
}

impl Way {
    fn new(damage: Damage) -> (Self, Receiver<u8>) {
        let (to, from) = channel();
        (Self { to, damage }, from)
    }

    fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            // Nobody may be there to read it.
            let _ = self.damage.pass(byte).try_for_each(|byte| self.to.send(byte));
        }
    }
}

struct HostLine {
    to: Way,
    from: Receiver<u8>,
}

impl Line for &mut HostLine {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.send(bytes);
        Ok(())
    }

    fn receive(&mut self, into: &mut [u8], limit: Duration) -> io::Result<usize> {
        match self.from.recv_timeout(limit) {
            Ok(byte) => {
                into[0] = byte;
                let more = into[1..].iter_mut().zip(self.from.try_iter());
                Ok(1 + more.map(|(place, byte)| *place = byte).count())
            }
            Err(RecvTimeoutError::Timeout) => Ok(0),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// The device's end, which loses its memory at the byte `reset_at` of those that come.
struct DeviceWire {
    to: Way,
    from: Receiver<u8>,
    is_done: Arc<AtomicBool>,
    n_read: usize,
    reset_at: Option<usize>,
}

/// Ends of the device's program.
struct Reset;
struct Done;

impl Wire for DeviceWire {
    fn read(&mut self) -> Option<u8> {
        if self.is_done.load(Ordering::Relaxed) {
            resume_unwind(Box::new(Done));
        }
        let byte = self.from.recv_timeout(Duration::from_micros(300)).ok()?;
        self.n_read += 1;
        if self.reset_at == Some(self.n_read) {
            resume_unwind(Box::new(Reset));
        }
        Some(byte)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.to.send(bytes);
    }
}

/// What the made-up program prints of what it reads.
fn answer(read: &[u8]) -> Vec<u8> {
    let line = format!("{} bytes, {:08x}\n", read.len(), crc32(read));
    [line.as_bytes(), read].concat()
}

/// Reads all, then prints, with no line's end for long.
fn program<W: Wire>(device: &mut Device<W>) -> Result<(), Closed> {
    let mut read = Vec::new();
    while let Some(byte) = device.read()? {
        read.push(byte);
    }
    answer(&read).chunks(100).try_for_each(|piece| device.write(piece))
}

/// A device at the end of a damaged line.
struct World {
    host: HostLine,
    is_done: Arc<AtomicBool>,
    device: Option<JoinHandle<()>>,
}

impl World {
    fn new(to_device: Damage, to_host: Damage, reset_at: Option<usize>) -> Self {
        let (down, device_from) = Way::new(to_device);
        let (up, host_from) = Way::new(to_host);
        let is_done = Arc::new(AtomicBool::new(false));
        let mut wire = DeviceWire { to: up, from: device_from, is_done: is_done.clone(), n_read: 0, reset_at };
        let device = thread::spawn(move || {
            loop {
                let mut device = Device::new(&mut wire, BOARD, Some(7), 4096);
                let end = catch_unwind(AssertUnwindSafe(|| {
                    loop {
                        assert_eq!(device.accept(), Program::Score);
                        // The host began another session.
                        let _: Result<(), Closed> = program(&mut device);
                        device.end();
                    }
                }));
                let Err(why) = end;
                if !why.is::<Reset>() {
                    assert!(why.is::<Done>(), "the device's end panicked");
                    return;
                }
            }
        });
        Self { host: HostLine { to: down, from: host_from }, is_done, device: Some(device) }
    }

    /// What a session prints that types `typed`.
    fn session(&mut self, number: u32, typed: &[u8]) -> Result<Vec<u8>, CableError> {
        let (mut session, about) = Session::open(&mut self.host, PATIENCE, number, Program::Score, LIMIT)?;
        assert_eq!((about.board.as_str(), about.model_crc32, about.room), (BOARD, Some(7), 4096));
        session.type_in(typed);
        session.end_typing();
        let (mut printed, until) = (Vec::new(), Instant::now() + LIMIT);
        while !session.is_over() {
            assert!(Instant::now() < until, "no end");
            session.exchange(until, |bytes| printed.extend_from_slice(bytes))?;
        }
        Ok(printed)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Relaxed);
        let ended = self.device.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_arrives_is_what_was_sent(
        typed in prop::collection::vec(any::<u8>(), 0..700),
        again in prop::collection::vec(any::<u8>(), 0..20),
        down in damage(),
        up in damage(),
    ) {
        let mut world = World::new(down, up, None);
        prop_assert_eq!(world.session(u32::MAX, &typed).unwrap(), answer(&typed));
        prop_assert_eq!(world.session(0, &again).unwrap(), answer(&again));
    }

    #[test]
    fn a_device_that_begins_anew_is_an_error_and_serves_the_next(
        typed in prop::collection::vec(any::<u8>(), 100..700),
        down in damage(),
        up in damage(),
        reset_at in 1..900_usize,
    ) {
        let mut world = World::new(down, up, Some(reset_at));
        match world.session(1, &typed) {
            Ok(printed) => prop_assert_eq!(printed, answer(&typed)),
            Err(CableError::BeganAnew) => {}
            Err(error) => panic!("{error}"),
        }
        // It may have come to its end before.
        let next = match world.session(2, &typed) {
            Err(CableError::BeganAnew) => world.session(3, &typed),
            next => next,
        };
        prop_assert_eq!(next.unwrap(), answer(&typed));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_frames_or_passed_over(bytes in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..600)) {
        let mut deframer = Deframer::new();
        for byte in bytes {
            prop_assert!(deframer.push(byte).is_none());
        }
    }

    #[test]
    fn a_frame_comes_back_behind_anything(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        bytes in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..=PART_BYTES),
        (session, taken, at, is_last) in any::<(u32, u32, u32, bool)>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let frame = Frame::FromDevice(Part { session, taken, at, is_last, bytes: &bytes });
        let mut out = [0; FRAME_BYTES];
        let mut sent = frame.encode(&mut out).unwrap().to_vec();
        let mut deframer = Deframer::new();
        for &byte in &noise {
            prop_assert!(deframer.push(byte).is_none());
        }
        let mut came = 0;
        for &byte in &sent {
            if let Some(other) = deframer.push(byte) {
                prop_assert_eq!(other, frame);
                came += 1;
            }
        }
        prop_assert_eq!(came, 1);
        // With one bit changed it is no frame, nor two.
        let bit = bit.index(8 * sent.len());
        sent[bit / 8] ^= 1 << (bit % 8);
        for &byte in &sent {
            prop_assert!(deframer.push(byte).is_none());
        }
    }
}

#[test]
fn a_line_that_is_silent_is_an_error() {
    let (to, _nobody) = Way::new(Damage::default());
    let (_silent, from) = channel();
    let mut host = HostLine { to, from };
    let limit = Duration::from_millis(50);
    let outcome = Session::open(&mut host, PATIENCE, 1, Program::Score, limit);
    assert!(matches!(outcome, Err(CableError::Silent(_))));
}

#[test]
fn a_line_that_echoes_is_silent() {
    let (to, from) = Way::new(Damage::default());
    let mut host = HostLine { to, from };
    let outcome = Session::open(&mut host, PATIENCE, 1, Program::Console, Duration::from_millis(50));
    assert!(matches!(outcome, Err(CableError::Silent(_))));
}
