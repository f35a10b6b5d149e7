//! Core on this machine: kernels for its processor, blobs from its files, memory, and threads.
//!
//! [`Blob`] is an open file, [`Memory`] what a session on it needs, [`kernel`] what multiplies. [`workers`] share windows
//! among threads, a [`HostTeam`] one pass; [`divergence`] says how two distributions differ. [`generation`] has core write what
//! follows a prompt, and [`bench`](mod@bench) says how fast passes are.

pub mod bench;
mod blob;
pub mod divergence;
pub mod generation;
mod helpers;
pub mod kernel;
mod memory;
mod team;
pub mod workers;

pub use blob::{Blob, BlobError, BlobFault, BlobFile};
pub use memory::{BATCH, Memory, run};
pub use team::HostTeam;
