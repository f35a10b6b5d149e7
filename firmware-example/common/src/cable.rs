//! The programs of a board at the end of a cable.

use core::fmt;

use emberlm_core::model::Model;
use emberlm_core::source::Mapped;
use emberlm_request::cable::{BOARD_BYTES, Closed, Device, Program, Wire};

use crate::{Board, Buffers, Input, Partitions, console, score};

/// Serves one session after another, for ever: scores requests, which it takes into `request`, with the model, or talks.
///
/// A session that the host leaves ends with the next thing that its program prints or reads.
pub fn serve<B: Board, W: Wire>(
    board: &mut B,
    wire: W,
    model: &[u8],
    request: &mut [u8],
    mut buffers: Buffers<'_>,
) -> ! {
    const { assert!(B::NAME.len() <= BOARD_BYTES) };
    let room = u32::try_from(request.len()).unwrap_or(u32::MAX);
    let mut device = Device::new(wire, B::NAME, crc32_of(model), room);
    loop {
        let program = device.accept();
        let mut board = Cabled { board: &mut *board, device: &mut device };
        // How it went is in what it printed.
        match program {
            Program::Score => match board.read_all(request) {
                Ok(request) => score(&mut board, Partitions { model, request }, buffers.reborrow()),
                Err(Closed) => continue,
            },
            Program::Console => console(&mut board, model, buffers.reborrow()),
        };
        device.end();
    }
}

/// What tells the model's blob from others, if it can be opened.
fn crc32_of(blob: &[u8]) -> Option<u32> {
    Model::open(Mapped::new(blob).ok()?).ok()?.crc32().ok()
}

/// A board whose console is the cable.
struct Cabled<'b, B, W> {
    board: &'b mut B,
    device: &'b mut Device<W>,
}

impl<B, W: Wire> Cabled<'_, B, W> {
    /// All that the host sends; what there is no room for is missing at the end.
    fn read_all<'r>(&mut self, into: &'r mut [u8]) -> Result<&'r [u8], Closed> {
        let mut len = 0;
        while let Some(byte) = self.device.read()? {
            if let Some(place) = into.get_mut(len) {
                *place = byte;
                len += 1;
            }
        }
        Ok(into.get(..len).unwrap_or_default())
    }
}

impl<B, W: Wire> fmt::Write for Cabled<'_, B, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.device.write(text.as_bytes()).map_err(|Closed| fmt::Error)
    }
}

impl<B, W: Wire> Input for Cabled<'_, B, W> {
    fn read_byte(&mut self) -> Result<Option<u8>, fmt::Error> {
        self.device.read().map_err(|Closed| fmt::Error)
    }

    fn show(&mut self) -> fmt::Result {
        self.device.flush().map_err(|Closed| fmt::Error)
    }
}

impl<B: Board, W: Wire> Board for Cabled<'_, B, W> {
    const NAME: &'static str = B::NAME;

    type Kernel = B::Kernel;

    const TICKS_PER_1000_INSTRUCTIONS: u64 = B::TICKS_PER_1000_INSTRUCTIONS;

    fn ticks(&self) -> u64 {
        self.board.ticks()
    }

    fn static_bytes(&self) -> usize {
        self.board.static_bytes()
    }

    fn stack_bytes(&self) -> usize {
        self.board.stack_bytes()
    }

    fn heap_free(&self) -> usize {
        self.board.heap_free()
    }
}
