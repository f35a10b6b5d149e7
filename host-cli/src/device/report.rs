//! Reading what the firmware prints.

use std::collections::BTreeMap;
use std::str::FromStr;

use emberlm_request::report::{self, key};
use serde::Serialize;

use super::emulator::Run;
use super::{Board, DeviceError, Medium};
use crate::ground::shown;
use crate::report::{Canonical, Fault, LossReport, finite};
use crate::score::Windowing;

/// What a board found out. What is not part of the board itself waits for [`DeviceReport::loss`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceReport {
    /// The board.
    pub board: String,
    /// Instructions that scoring took.
    pub instructions: u64,
    /// Bytes of variables and buffers in use while scoring, without the stack.
    pub ram_bytes: u64,
    /// The most bytes that the stack held.
    pub stack_bytes: u64,
    /// Bytes that scoring read from the model's medium, where it is not memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_read: Option<u64>,
    /// Bytes of the KV cache, of `ram_bytes`.
    #[serde(skip)]
    pub kv_bytes: u64,
    /// Bytes of the scratch memory, of `ram_bytes`.
    #[serde(skip)]
    pub scratch_bytes: u64,
    /// The f64 sum of the f32 nlls: its bits as 16 hex digits.
    #[serde(skip)]
    pub nll_bits: String,
    #[serde(skip)]
    figures: Figures,
    #[serde(skip)]
    conditions: Conditions,
}

/// What follows from the losses.
#[derive(Clone, Debug, PartialEq)]
struct Figures {
    tokens_scored: u64,
    tokens_skipped: u64,
    loss: Option<f64>,
    perplexity: Option<f64>,
    bits_per_token: Option<f64>,
    bits_per_byte: Option<f64>,
    loss_stderr: Option<f64>,
}

/// What the board says that it scored, and how.
#[derive(Clone, Debug, PartialEq)]
struct Conditions {
    convention: String,
    n_ctx: u64,
    stride: u64,
    kv: String,
    activations: String,
    arithmetic: u16,
    model_crc32: String,
    /// What a vocabulary was cut from, in words.
    vocabulary: Option<String>,
}

impl DeviceReport {
    /// The loss, once it is sure that the board speaks of these windows and this model.
    ///
    /// # Errors
    /// [`DeviceError::Output`] if it does not.
    pub fn loss(&self, windowing: &Windowing, canonical: Canonical) -> Result<LossReport, DeviceError> {
        let scored = Conditions {
            convention: windowing.convention.name().into(),
            n_ctx: windowing.n_ctx as u64,
            stride: windowing.stride() as u64,
            kv: canonical.kv.into(),
            activations: canonical.activations.into(),
            arithmetic: canonical.arithmetic,
            model_crc32: canonical.model_crc32.clone(),
            vocabulary: canonical.pruned.map(|pruned| pruned.to_string()),
        };
        if self.conditions != scored {
            let why = format!("it is about something else: {:?}, not {scored:?}", self.conditions);
            return Err(DeviceError::Output(why));
        }
        let Figures { tokens_scored, tokens_skipped, loss, perplexity, bits_per_token, bits_per_byte, loss_stderr } =
            self.figures;
        let loss = finite(loss);
        let with_loss = |value: Option<f64>| finite(value).filter(|_| loss.is_some());
        let perplexity = with_loss(perplexity);
        let is_whole = loss.is_some() && perplexity.is_some();
        Ok(LossReport {
            tokens_scored,
            tokens_skipped,
            loss,
            perplexity,
            bits_per_token: with_loss(bits_per_token),
            bits_per_byte: with_loss(bits_per_byte),
            loss_stderr: with_loss(loss_stderr),
            nll_bits: Some(self.nll_bits.clone()),
            convention: windowing.convention.name(),
            n_ctx: windowing.n_ctx,
            stride: windowing.stride(),
            bos: windowing.bos.name(),
            kv: Some(canonical.kv),
            activations: Some(canonical.activations),
            arithmetic: Some(canonical.arithmetic),
            model_crc32: Some(canonical.model_crc32),
            pruned: canonical.pruned,
            error: (!is_whole).then(|| Fault::new("no_loss", "the loss or its exponential is not finite")),
        })
    }
}

/// Reads a whole report, of which nothing may be missing, doubled or unknown, as the emulator printed it.
///
/// # Errors
/// Those of [`read`], or the emulator ended badly.
pub fn parse(run: &Run, board: &Board, medium: Medium) -> Result<DeviceReport, DeviceError> {
    let end = format!("({}) {}", run.status, run.stderr);
    let report = read(&run.lines, end.trim_end(), board.name, medium)?;
    if !run.status.success() {
        return Err(DeviceError::Output(format!("it is complete, but the emulator ended with {}", run.status)));
    }
    Ok(report)
}

/// Reads a whole report, of which nothing may be missing, doubled or unknown; `end` is what is to be said of the end of one
/// that is not.
///
/// # Errors
/// The program reported an error, panicked or faulted, or what it printed is no report of that board.
pub fn read(lines: &[String], end: &str, board: &str, medium: Medium) -> Result<DeviceReport, DeviceError> {
    let mut fields = Fields::read(lines)?;
    if fields.0.is_empty() {
        return Err(DeviceError::Output(format!("it is empty {end}")));
    }
    if let Some(message) = fields.0.remove(key::PANIC) {
        return Err(DeviceError::Panic(message.into()));
    }
    if let Some(message) = fields.0.remove(key::FAULT) {
        return Err(DeviceError::Fault(message.into()));
    }
    if let Some(message) = fields.0.remove(key::ERROR) {
        return Err(DeviceError::Reported(message.into()));
    }
    if lines.last().and_then(|line| report::parse(line)) != Some((key::DONE, report::OK)) {
        return Err(DeviceError::Output(format!("it does not end with done: ok {end}")));
    }
    let report = fields.report(medium)?;
    if report.board != board {
        let (have, need) = (shown::value(&report.board), shown::value(board));
        return Err(DeviceError::Output(format!("it is from {have}, not {need}")));
    }
    Ok(report)
}

/// The values by key.
struct Fields<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn read(lines: &'a [String]) -> Result<Self, DeviceError> {
        let mut fields = BTreeMap::new();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let (key, value) = report::parse(line)
                .ok_or_else(|| DeviceError::Output(format!("\"{}\" has no key", shown::value(line))))?;
            if key != key::PROGRESS && fields.insert(key, value).is_some() {
                return Err(DeviceError::Output(format!("{} is there twice", shown::value(key))));
            }
        }
        Ok(Self(fields))
    }

    fn report(mut self, medium: Medium) -> Result<DeviceReport, DeviceError> {
        let report = DeviceReport {
            board: self.take(key::BOARD)?,
            instructions: self.take(key::INSTRUCTIONS)?,
            ram_bytes: self.take(key::RAM_BYTES)?,
            stack_bytes: self.take(key::STACK_BYTES)?,
            bytes_read: (medium == Medium::Card).then(|| self.take(key::BYTES_READ)).transpose()?,
            kv_bytes: self.take(key::KV_BYTES)?,
            scratch_bytes: self.take(key::SCRATCH_BYTES)?,
            nll_bits: self.take_hex(key::NLL_BITS, 16)?,
            figures: Figures {
                tokens_scored: self.take(key::TOKENS_SCORED)?,
                tokens_skipped: self.take(key::TOKENS_SKIPPED)?,
                loss: self.take_figure(key::LOSS)?,
                perplexity: self.take_figure(key::PERPLEXITY)?,
                bits_per_token: self.take_figure(key::BITS_PER_TOKEN)?,
                bits_per_byte: self.take_figure(key::BITS_PER_BYTE)?,
                loss_stderr: self.take_figure(key::LOSS_STDERR)?,
            },
            conditions: Conditions {
                convention: self.take(key::CONVENTION)?,
                n_ctx: self.take(key::N_CTX)?,
                stride: self.take(key::STRIDE)?,
                kv: self.take(key::KV)?,
                activations: self.take(key::ACTIVATIONS)?,
                arithmetic: self.take(key::ARITHMETIC)?,
                model_crc32: self.take_hex(key::MODEL_CRC32, 8)?,
                vocabulary: self.0.remove(key::VOCABULARY).map(str::to_owned),
            },
        };
        for key in [key::SELF_TEST, key::TICKS, key::DONE] {
            self.take::<String>(key)?;
        }
        if medium == Medium::Memory {
            self.take::<String>("heap_bytes")?;
        }
        match self.0.keys().next() {
            Some(key) => Err(DeviceError::Output(format!("{} is unknown", shown::value(key)))),
            None => Ok(report),
        }
    }

    fn take<T: FromStr>(&mut self, key: &str) -> Result<T, DeviceError> {
        let value = self.0.remove(key).ok_or_else(|| DeviceError::Output(format!("{key} is missing")))?;
        value.parse().map_err(|_| bad(key, value))
    }

    /// A number that there may be none of.
    fn take_figure(&mut self, key: &str) -> Result<Option<f64>, DeviceError> {
        let value: String = self.take(key)?;
        match value.as_str() {
            "none" => Ok(None),
            value => value.parse().map(Some).map_err(|_| bad(key, value)),
        }
    }

    fn take_hex(&mut self, key: &str, digits: usize) -> Result<String, DeviceError> {
        let value: String = self.take(key)?;
        let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if value.len() == digits && value.bytes().all(is_hex) { Ok(value) } else { Err(bad(key, &value)) }
    }
}

fn bad(key: &str, value: &str) -> DeviceError {
    DeviceError::Output(format!("{key} cannot be \"{}\"", shown::value(value)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use emberlm_core::blob::PrunedVocabulary;
    use emberlm_core::window::Convention;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    const GOOD: &str = "board: mps2-an386\nmodel_crc32: 00c0ffee\nself_test: passed\narithmetic: 1\nactivations: i16\n\
        kv: f32\nconvention: disjoint\nn_ctx: 128\nstride: 128\nprogress: 3 of 10\nprogress: 10 of 10\n\
        tokens_scored: 5\ntokens_skipped: 1\nloss: 1.5\nperplexity: 4.481689070338065\nbits_per_token: 2.1640425613334453\n\
        bits_per_byte: none\nloss_stderr: 0.25\nnll_bits: 401e000000000000\nkv_bytes: 131072\nscratch_bytes: 90000\n\
        ram_bytes: 222000\nheap_bytes: 600000\nstack_bytes: 1200\nticks: 25\ninstructions: 1000\ndone: ok";

    const WINDOWING: Windowing = Windowing::new(Convention::Disjoint, 128);

    fn board() -> &'static Board {
        Board::named("mps2-an386").unwrap()
    }

    fn canonical(crc32: &str) -> Canonical {
        Canonical { kv: "f32", activations: "i16", arithmetic: 1, model_crc32: crc32.into(), pruned: None }
    }

    fn run(text: &str, code: i32) -> Run {
        let lines = text.lines().map(str::to_owned).collect();
        Run { lines, status: ExitStatus::from_raw(code << 8), stderr: String::new() }
    }

    fn refusal(text: &str, code: i32) -> String {
        parse(&run(text, code), board(), Medium::Memory).unwrap_err().to_string()
    }

    #[test]
    fn a_report_is_read() {
        let report = parse(&run(GOOD, 0), board(), Medium::Memory).unwrap();
        assert_eq!((report.nll_bits.as_str(), report.instructions), ("401e000000000000", 1000));
        let loss = report.loss(&WINDOWING, canonical("00c0ffee")).unwrap();
        assert_eq!((loss.tokens_scored, loss.loss, loss.bits_per_byte, loss.error), (5, Some(1.5), None, None));
    }

    #[test]
    fn a_report_about_something_else_is_refused() {
        let report = parse(&run(GOOD, 0), board(), Medium::Memory).unwrap();
        let error = report.loss(&WINDOWING, canonical("00c0ffef")).unwrap_err().to_string();
        assert!(error.contains("00c0ffee") && error.contains("00c0ffef"), "{error}");
        let shorter = Windowing { n_ctx: 64, ..WINDOWING };
        assert!(report.loss(&shorter, canonical("00c0ffee")).is_err());
    }

    #[test]
    fn the_sizes_of_a_vocabulary_that_was_cut_are_the_board_s_to_say() {
        let said = GOOD.replace("kv: f32", "kv: f32\nvocabulary: pruned from 50,257 to 300 tokens");
        let pruned = |to| Canonical { pruned: Some(PrunedVocabulary { from: 50_257, to }), ..canonical("00c0ffee") };
        let loss =
            |text: &str, canonical| parse(&run(text, 0), board(), Medium::Memory).unwrap().loss(&WINDOWING, canonical);
        assert_eq!(loss(&said, pruned(300)).unwrap().pruned, Some(PrunedVocabulary { from: 50_257, to: 300 }));
        for (text, canonical) in [(GOOD, pruned(300)), (&said, pruned(301)), (&said, canonical("00c0ffee"))] {
            assert!(loss(text, canonical).is_err());
        }
    }

    #[test]
    fn a_loss_that_is_no_number_is_a_fault() {
        for (figure, text) in [("loss: 1.5", "loss: inf"), ("perplexity: 4.48", "perplexity: inf")] {
            let text = GOOD.replace(figure, text).replace("inf1689070338065", "inf");
            let loss = parse(&run(&text, 0), board(), Medium::Memory)
                .unwrap()
                .loss(&WINDOWING, canonical("00c0ffee"))
                .unwrap();
            assert_eq!(loss.error.unwrap().kind, "no_loss");
            assert_eq!(loss.loss_stderr.is_some(), loss.loss.is_some());
        }
    }

    #[test]
    fn every_missing_or_doubled_line_is_refused() {
        let lines: Vec<&str> = GOOD.lines().collect();
        for (i, line) in lines.iter().enumerate().filter(|(_, line)| !line.starts_with("progress")) {
            let mut missing = lines.clone();
            missing.remove(i);
            assert!(parse(&run(&missing.join("\n"), 0), board(), Medium::Memory).is_err(), "without {line}");
            let mut doubled = lines.clone();
            doubled.insert(i, line);
            assert!(refusal(&doubled.join("\n"), 0).contains("twice"), "{line} twice");
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(refusal("", 0).contains("empty"));
        assert!(refusal(&GOOD.replace("loss: 1.5", "loss: one"), 0).contains("loss cannot be"));
        assert!(refusal(&GOOD.replace("401e", "401E"), 0).contains("nll_bits"));
        assert!(refusal(&GOOD.replace("kv: f32", "kv: f32\nspeed: 9"), 0).contains("speed is unknown"));
        assert!(refusal(&GOOD.replace("mps2-an386", "mps2-an500"), 0).contains("not mps2-an386"));
        assert!(refusal(&format!("{GOOD}\nboard"), 0).contains("has no key"));
        assert!(refusal(&format!("{GOOD}\nextra: 1"), 0).contains("does not end with"));
        assert!(refusal(GOOD, 1).contains("ended with"));
    }

    #[test]
    fn what_the_firmware_says_of_its_end_comes_first() {
        let ended =
            |text: &str| parse(&run(&format!("board: mps2-an386\n{text}\ndone: failed"), 1), board(), Medium::Memory);
        assert!(matches!(ended("panic: no at x.rs:1"), Err(DeviceError::Panic(why)) if why == "no at x.rs:1"));
        assert!(matches!(ended("fault: at 0x10"), Err(DeviceError::Fault(_))));
        assert!(matches!(ended("error: model: a: b"), Err(DeviceError::Reported(why)) if why == "model: a: b"));
    }
}
