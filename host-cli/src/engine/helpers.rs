//! Threads that wait for a part of somebody's work, and take it within a microsecond while passes follow each other: what
//! they are handed takes little longer itself, so that a thread that has to be woken each time would be of no use.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::UnsafeCell;
use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::{self, Thread};

use super::workers;

/// How often a helper looks for work before it sleeps, and whoever waits for one before it lets others run.
const LOOKS: u32 = 1 << 12;

/// Nobody has it.
const FREE: u8 = 0;
/// Somebody is about to hand it work, or took the work back.
const CLAIMED: u8 = 1;
/// There is work, not yet begun.
const READY: u8 = 2;
/// The helper is at work.
const RUNNING: u8 = 3;
/// The work is done.
const DONE: u8 = 4;

/// One such thread.
struct Helper {
    state: AtomicU8,
    asleep: AtomicBool,
    work: UnsafeCell<Work>,
    thread: OnceLock<Thread>,
}

/// What `run` is to be called with.
#[derive(Clone, Copy)]
struct Work {
    run: unsafe fn(*mut ()),
    task: *mut (),
}

// SAFETY: `work` is written by whoever claimed the helper and read by who took it from `READY`, one after the other.
unsafe impl Sync for Helper {}
// SAFETY: as above; tasks are `Send`.
unsafe impl Send for Helper {}

/// A closure that is called once, and how that ended.
struct Task<F> {
    call: Option<F>,
    panic: Option<Box<dyn Any + Send>>,
}

impl<F: FnOnce()> Task<F> {
    /// # Safety
    /// `task` is one, and nobody else's meanwhile.
    unsafe fn run(task: *mut ()) {
        // SAFETY: the caller's promise.
        let task = unsafe { &mut *task.cast::<Self>() };
        if let Some(call) = task.call.take() {
            task.panic = catch_unwind(AssertUnwindSafe(call)).err();
        }
    }
}

/// Does both and returns when neither is being done any more, `other` on a helper where one is free.
///
/// # Panics
/// One of them does.
pub fn join<F: FnOnce() + Send>(one: impl FnOnce(), other: F) {
    let Some(helper) = helpers().iter().find(|helper| helper.claim()) else {
        one();
        return other();
    };
    let mut task = Task { call: Some(other), panic: None };
    helper.hand_over(Work { run: Task::<F>::run, task: (&raw mut task).cast() });
    // The task has to stay where it is until it is done.
    let one = catch_unwind(AssertUnwindSafe(one));
    helper.wait();
    if let Some(panic) = one.err().or(task.panic) {
        resume_unwind(panic);
    }
}

/// All of them: one for each processor but one.
fn helpers() -> &'static [Helper] {
    static HELPERS: OnceLock<Box<[Helper]>> = OnceLock::new();
    static STARTED: OnceLock<()> = OnceLock::new();
    let helpers = HELPERS.get_or_init(|| (1..workers::available()).map(|_| Helper::new()).collect());
    STARTED.get_or_init(|| {
        for helper in helpers {
            // One that does not start is never free.
            helper.state.store(CLAIMED, Ordering::Relaxed);
            let _ = thread::Builder::new().spawn(|| helper.serve());
        }
    });
    helpers
}

impl Helper {
    fn new() -> Self {
        unsafe fn nothing(_: *mut ()) {}
        Self {
            state: AtomicU8::new(FREE),
            asleep: AtomicBool::new(false),
            work: UnsafeCell::new(Work { run: nothing, task: std::ptr::null_mut() }),
            thread: OnceLock::new(),
        }
    }

    fn turns(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    fn claim(&self) -> bool {
        self.turns(FREE, CLAIMED)
    }

    /// By whoever claimed it.
    fn hand_over(&self, work: Work) {
        // SAFETY: who claimed the helper has its work to itself until the next line.
        unsafe { *self.work.get() = work };
        self.state.store(READY, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Returns when the work that was handed over is done; does it where it was not begun.
    fn wait(&self) {
        if self.turns(READY, CLAIMED) {
            self.work();
        } else {
            let mut looks = 0;
            while self.state.load(Ordering::Acquire) != DONE {
                pause(&mut looks);
            }
        }
        self.state.store(FREE, Ordering::Release);
    }

    /// By whoever took it from `READY`.
    fn work(&self) {
        // SAFETY: nobody writes the work before it is done, and whoever handed it over keeps its task until then.
        unsafe {
            let Work { run, task } = *self.work.get();
            run(task);
        }
    }

    fn serve(&self) {
        let _ = self.thread.set(thread::current());
        self.state.store(FREE, Ordering::Release);
        let mut looks = 0;
        loop {
            if self.turns(READY, RUNNING) {
                self.work();
                self.state.store(DONE, Ordering::Release);
                looks = 0;
            } else if looks < LOOKS {
                looks += 1;
                hint::spin_loop();
            } else {
                self.asleep.store(true, Ordering::SeqCst);
                if self.state.load(Ordering::SeqCst) != READY {
                    thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
            }
        }
    }
}

/// Some nanoseconds, or longer after [`LOOKS`] of them.
fn pause(looks: &mut u32) {
    if *looks < LOOKS {
        *looks += 1;
        hint::spin_loop();
    } else {
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Counts to `n` in halves.
    fn count(n: usize, counted: &AtomicUsize) {
        if n == 1 {
            counted.fetch_add(1, Ordering::Relaxed);
        } else {
            join(|| count(n / 2, counted), || count(n - n / 2, counted));
        }
    }

    #[test]
    fn everything_is_done_once_whoever_else_joins() {
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for n in 1..300 {
                        let counted = AtomicUsize::new(0);
                        count(n, &counted);
                        assert_eq!(counted.into_inner(), n);
                    }
                });
            }
        });
    }

    #[test]
    fn those_that_slept_are_woken() {
        for _ in 0..5 {
            thread::sleep(std::time::Duration::from_millis(20));
            let counted = AtomicUsize::new(0);
            count(64, &counted);
            assert_eq!(counted.into_inner(), 64);
        }
    }

    #[test]
    fn a_panic_comes_back_and_helpers_stay() {
        for panics in 0..2 {
            let both = || join(|| assert!(panics != 0, "one"), || assert!(panics != 1, "other"));
            assert!(catch_unwind(both).is_err());
        }
        let counted = AtomicUsize::new(0);
        count(9, &counted);
        assert_eq!(counted.into_inner(), 9);
    }
}
