//! A session: a model, a kernel, a KV cache and scratch memory, through which tokens pass. The only module that sees
//! them all.
//!
//! [`Session::forward`] takes tokens to hidden states, [`Session::head`] hidden states to logits, pushed into sinks and
//! forgotten. Both loop over bounded steps, which a caller with other work can take itself. No bit depends on the step
//! size, on how tokens are grouped into calls and batches, on the source or on the kernel.

mod angles;
mod branches;
mod error;
mod forward;
mod head;
mod norms;
mod passes;
mod product;
mod qkv;
mod state;
mod weights;

pub use error::{ForwardError, MemoryError};
pub use forward::{Forward, Stage};
pub use head::Head;
pub use state::{Progress, Session};
