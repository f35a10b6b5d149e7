//! Memory whose size a file or an option says: asked for, and refused with a message where there is not so much.
//!
//! A system may hand out more than it has and end the program that uses it, so large needs are held against what is free.

use bytemuck::Zeroable;
use bytemuck::allocation::try_zeroed_vec;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// What is asked for without looking at what is free: 256 MiB.
const SMALL: u64 = 256 << 20;

/// More memory than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not enough memory for {what}: need {need} bytes, have {have}{advice}")]
pub struct MemoryError {
    /// What it is for.
    pub what: &'static str,
    /// Bytes.
    pub need: u64,
    /// Bytes that are free.
    pub have: u64,
    /// What takes less, beginning with its own punctuation; may be empty.
    pub advice: &'static str,
}

impl MemoryError {
    /// The same error with a way out.
    #[must_use]
    pub const fn or(self, advice: &'static str) -> Self {
        Self { advice, ..self }
    }
}

/// Checks that `need` bytes are free.
///
/// # Errors
/// They are not. Where the system does not say what is free, all are taken to be.
pub fn check(what: &'static str, need: u64) -> Result<(), MemoryError> {
    if need <= SMALL {
        return Ok(());
    }
    match free() {
        Some(have) if need > have => Err(MemoryError { what, need, have, advice: "" }),
        _ => Ok(()),
    }
}

/// So many zeros.
///
/// # Errors
/// There is no room for them.
pub fn zeroed<T: Zeroable>(what: &'static str, len: usize) -> Result<Vec<T>, MemoryError> {
    let need = bytes_of::<T>(len);
    check(what, need)?;
    try_zeroed_vec(len).map_err(|()| MemoryError { what, need, have: free().unwrap_or(0), advice: "" })
}

/// Bytes of so many elements.
pub const fn bytes_of<T>(len: usize) -> u64 {
    (len as u64).saturating_mul(size_of::<T>() as u64)
}

/// Bytes that this program could still use: memory that is free or that caches give back, and swap, within the limits of
/// its control group.
fn free() -> Option<u64> {
    let memory = MemoryRefreshKind::nothing().with_ram().with_swap();
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory)).ok()?;
    let of_machine = system.available_memory().saturating_add(system.free_swap());
    // A group's own count of what is free takes caches for used.
    let of_group = system.cgroup_limits().map(|group| group.total_memory.saturating_sub(group.rss) + group.free_swap);
    Some(of_group.map_or(of_machine, |of_group| of_machine.min(of_group))).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_has_is_refused() {
        assert_eq!(check("a test", SMALL), Ok(()));
        let error = check("a test", 1 << 62).unwrap_err();
        assert!(error.need == 1 << 62 && error.have > 0, "{error}");
        assert!(error.or("; ask for less").to_string().ends_with("; ask for less"), "{error}");
        for len in [usize::MAX, usize::MAX / 8, 1 << 58] {
            assert!(zeroed::<u64>("a test", len).is_err(), "{len}");
        }
        assert_eq!(zeroed::<u32>("a test", 3).unwrap(), [0; 3]);
    }
}
