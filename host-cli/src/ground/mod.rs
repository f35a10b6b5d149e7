//! What every floor stands on: the user's files, memory, signals, and words from outside.

pub mod bundled;
pub mod checkout;
pub mod files;
pub mod kept;
pub mod memory;
pub mod named;
pub mod peak;
pub mod shown;
pub mod signals;
