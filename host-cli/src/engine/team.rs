//! Threads that share one pass, where there are no other windows to give them.

use emberlm_core::team::Team;

/// What a thread takes over is at least so many multiplications: it has to be woken for them.
const GRAIN: usize = 1 << 18;

/// Threads of rayon's pool.
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
        rayon::join(one, other);
    }
}
