//! Boards at a serial port, which have model and program in their flash: [`score`] and [`talk`].
//!
//! [`Session`] is the host's end of what [`emberlm_request::cable`] says, over any [`Line`]; a [`Port`] is one.

mod error;
mod port;
mod score;
mod session;
mod talk;

pub use error::CableError;
pub use port::Port;
pub use score::score;
pub use session::{About, Line, Patience, Session};
pub use talk::talk;
