//! Two cores that share a pass: the second waits in a loop for its half of the work.
//!
//! They meet in one word, which both read and write whole: no core needs instructions that swap.
#![no_std]

use core::hint::spin_loop;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use emberlm_core::team::Team;

/// The word in which two cores meet.
///
/// The first gives a session `&TwoCores` as its team; the second, once started by the board's own means, calls
/// [`TwoCores::serve`]. Until then the first does everything itself.
#[derive(Debug)]
pub struct TwoCores {
    work: AtomicPtr<Work>,
    is_served: AtomicBool,
    /// Multiplications that are worth handing half of over.
    grain: usize,
}

/// What the second core is to do: it lies on the first one's stack.
struct Work {
    run: unsafe fn(*mut ()),
    with: *mut (),
}

impl TwoCores {
    /// Nobody serves yet. Work of fewer than `grain` multiplications is not divided: a few hundred pay for the handing over.
    ///
    /// # Safety
    /// No two cores or threads use it as a team at the same time, but for what is within the work that it hands over; and no
    /// two serve.
    pub const unsafe fn new(grain: usize) -> Self {
        Self { work: AtomicPtr::new(ptr::null_mut()), is_served: AtomicBool::new(false), grain }
    }

    /// Does the first core's work as it comes, until `ends` says so between two pieces. It may not while a pass is under way:
    /// the first core would wait for ever.
    pub fn serve(&self, mut ends: impl FnMut() -> bool) {
        self.is_served.store(true, Ordering::Release);
        while !ends() {
            let work = self.work.load(Ordering::Acquire);
            if work.is_null() {
                spin_loop();
                continue;
            }
            // SAFETY: the first core keeps the work where it is until the word is null again, and nobody else serves.
            unsafe { ((*work).run)((*work).with) };
            self.work.store(ptr::null_mut(), Ordering::Release);
        }
        self.is_served.store(false, Ordering::Release);
    }
}

/// Waits for the second core, also where the first one's half panics.
struct Wait<'a>(&'a AtomicPtr<Work>);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        while !self.0.load(Ordering::Acquire).is_null() {
            spin_loop();
        }
    }
}

impl Team for TwoCores {
    const MOST: usize = 2;

    fn ranges(&self, multiplications: usize) -> usize {
        if multiplications >= self.grain && self.is_served.load(Ordering::Acquire) { 2 } else { 1 }
    }

    fn join(&self, one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
        /// Calls what `with` is, an `Option` of it.
        ///
        /// # Safety
        /// `with` is one, and nobody else's.
        unsafe fn run<F: FnOnce()>(with: *mut ()) {
            // SAFETY: the caller's.
            let call = unsafe { (*with.cast::<Option<F>>()).take() };
            call.into_iter().for_each(|call| call());
        }
        fn work_of<F: FnOnce()>(other: &mut Option<F>) -> Work {
            Work { run: run::<F>, with: ptr::from_mut(other).cast() }
        }
        if !self.work.load(Ordering::Acquire).is_null() {
            // The other core is at work: this is part of it.
            one();
            return other();
        }
        let mut other = Some(other);
        let mut work = work_of(&mut other);
        self.work.store(&raw mut work, Ordering::Release);
        let wait = Wait(&self.work);
        one();
        drop(wait);
    }
}
