//! Teams of plain threads, for the bits that no team may change.

use emberlm_core::team::Team;
use emberlm_two_cores::TwoCores;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Divides whatever it can into so many ranges, and takes the second half of each first.
#[derive(Clone, Copy, Debug)]
pub struct Backwards(pub usize);

impl Team for Backwards {
    const MOST: usize = usize::MAX;

    fn ranges(&self, _: usize) -> usize {
        self.0
    }

    fn join(&self, one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
        other();
        one();
    }
}

/// Two workers, as a chip with two cores has them: a thread of its own does the second half.
#[derive(Clone, Copy, Debug)]
pub struct TwoThreads;

impl Team for TwoThreads {
    const MOST: usize = 2;

    fn ranges(&self, _: usize) -> usize {
        2
    }

    fn join(&self, one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
        thread::scope(|scope| {
            scope.spawn(other);
            one();
        });
    }
}

/// Calls `first` with a team of which a thread is the second core.
#[allow(unsafe_code)]
pub fn two_cores<R>(first: impl FnOnce(&TwoCores) -> R) -> R {
    // SAFETY: only `first` has it.
    let (cores, ends) = (unsafe { TwoCores::new(0) }, AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            cores.serve(|| {
                // Where threads are more than processors, waiting must not be in the way.
                thread::yield_now();
                ends.load(Ordering::Relaxed)
            });
        });
        while cores.ranges(0) < 2 {
            thread::yield_now();
        }
        let result = first(&cores);
        ends.store(true, Ordering::Relaxed);
        result
    })
}
