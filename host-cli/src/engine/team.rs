//! Threads that share one pass, where there are no other windows to give them.

use emberlm_core::team::Team;

use super::helpers;

/// What a thread takes over is at least so many multiplications: some microseconds' work.
const GRAIN: usize = 1 << 16;

/// This thread and its those that help it.
#[derive(Clone, Copy, Debug)]
pub struct HostTeam {
    most: usize,
}

impl HostTeam {
    /// Of up to `most` threads.
    pub const fn new(most: usize) -> Self {
        Self { most }
    }
}

impl Team for HostTeam {
    const MOST: usize = usize::MAX;

    fn ranges(&self, multiplications: usize) -> usize {
        if self.most <= 1 { 1 } else { (multiplications / GRAIN).clamp(1, self.most) }
    }

    fn join(&self, one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
        helpers::join(one, other);
    }
}
