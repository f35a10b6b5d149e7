//! Request, report and console over a serial line, which may lose, double and change bytes.
//!
//! A session is two streams of bytes, one each way, that the host opens with a number that it drew. What a program on the
//! device reads is the host's stream, what it prints the device's: a request and its report, or lines and what follows
//! each of them.
//!
//! What goes over the line are [`Frame`]s: a postcard message and its CRC-32 (little-endian) as
//! [COBS](https://doi.org/10.1109/90.769765) has them, between bytes of 0. What is not one is passed over, so that both
//! sides are in step again with the next 0.
//!
//! Of each stream a frame carries the bytes that the other side has not confirmed, at most [`PART_BYTES`], with the offset of
//! the first; and how much it has of the other stream. So a lost frame is made good by the next, and one that comes twice
//! changes nothing. The host sends until it is answered, and asks again; the device answers, and sends by itself
//! whenever there is something new: it needs no clock, and listens when it has time. A device that began anew does not know the
//! session and says so.

mod device;
mod frame;

pub use device::{Closed, Device, Wire};
pub use frame::{BOARD_BYTES, Deframer, FRAME_BYTES, Frame, Greeting, PART_BYTES, Part, Program, VERSION};
