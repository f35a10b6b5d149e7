//! What an output may replace: the option that every verb which writes files shares.

use clap::Args;

use crate::ground::files::{Inputs, Permit};

/// The words that say what an output may replace.
#[derive(Args, Clone, Copy, Debug)]
pub struct RawReplacing {
    /// Replace existing files that emberlm did not write; never an input, a read-only file or what is no regular file
    #[arg(long)]
    force: bool,
}

impl RawReplacing {
    /// Whether the user's files may be replaced.
    pub const fn is_forced(self) -> bool {
        self.force
    }

    /// What the words come to for a verb that reads `inputs`.
    pub const fn permit(self, inputs: Inputs) -> Permit {
        Permit { inputs, force: self.force }
    }
}
