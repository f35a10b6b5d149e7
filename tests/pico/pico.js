// A Pico, emulated by rp2040js: it is flashed by files as its boot loader takes them, and what comes on standard input is on
// the wire to its UART0, what it sends there goes to standard output.
//
// usage: node pico.js FILE.uf2…

import { readFileSync } from 'node:fs';

import { ConsoleLogger, LogLevel, Simulator } from 'rp2040js';

const FLASH = 0x10000000;
const CYCLE_NS = 1e9 / 125e6;
// A start bit, eight bits and a stop bit at 115,200 bits a second.
const BYTE_NS = (10 * 1e9) / 115_200;
// Emulated time until input and output have their turn.
const TURN_NS = 20 * BYTE_NS;

// A block is 512 bytes: its payload's address and length, and the payload from byte 32 on.
function flash(chip, path) {
  const file = readFileSync(path);
  for (let block = 0; block < file.length; block += 512) {
    const address = file.readUInt32LE(block + 12);
    const length = file.readUInt32LE(block + 16);
    chip.flash.set(file.subarray(block + 32, block + 32 + length), address - FLASH);
  }
}

const { clock, rp2040: chip } = new Simulator();
chip.logger = new ConsoleLogger(LogLevel.Error);
process.argv.slice(2).forEach((path) => flash(chip, path));
// The second stage of the boot loader is where the boot ROM would go on.
chip.core.SP = 0x20042000;
chip.core.LR = 0;
chip.core.PC = FLASH;

const [uart] = chip.uart;
let received = Buffer.alloc(0);
process.stdin.on('data', (bytes) => (received = Buffer.concat([received, bytes])));
process.stdin.on('end', () => process.exit());
const sent = [];
uart.onByte = (byte) => sent.push(byte);

function turn() {
  const end = clock.nanos + TURN_NS;
  while (clock.nanos < end) {
    const arrives = clock.nanos + BYTE_NS;
    while (clock.nanos < arrives) {
      const cycles = chip.core.waiting ? clock.nanosToNextAlarm / CYCLE_NS : chip.core.executeInstruction();
      clock.tick(cycles * CYCLE_NS);
    }
    if (received.length > 0) {
      // A queue that is full loses what comes.
      if (!uart.rxFIFO.full) uart.feedByte(received[0]);
      received = received.subarray(1);
    }
  }
  if (sent.length > 0) process.stdout.write(Buffer.from(sent.splice(0)));
  setImmediate(turn);
}
turn();
