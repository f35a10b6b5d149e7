//! How many threads a verb takes: the option of those that work in floats.

use clap::Args;
use rayon::ThreadPoolBuilder;

/// The words that say how many threads a verb takes.
#[derive(Args, Clone, Copy, Debug)]
pub struct RawThreads {
    /// Threads that are used [default: as many as processors and memory allow]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl RawThreads {
    /// Has all that is shared among threads shared among so many, and says how many were asked for.
    ///
    /// To be called before anything is shared.
    pub fn settle(self) -> Option<usize> {
        let threads = self.threads.map(usize::from)?;
        // Fails where there are threads already.
        let _ = ThreadPoolBuilder::new().num_threads(threads).build_global();
        Some(threads)
    }
}
