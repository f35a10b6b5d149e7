//! The program that talks: prompts in, what follows them out.

use emberlm_core::blob::{ARITHMETIC, OpenError, TextTokens};
use emberlm_core::config::{Config, TokenId};
use emberlm_core::generate::{GenerateError, Generation, WhenFull};
use emberlm_core::kernel::Kernel;
use emberlm_core::kv_cache::KvType;
use emberlm_core::model::Model;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_core::sample::{Drawn, Sampler, Settings, SettingsError};
use emberlm_core::session::Session;
use emberlm_core::source::Mapped;
use emberlm_core::tokenizer::{DecodeError, Decoder, EncodeError, Tokenizer};
use emberlm_request::report::{Report, key};

use crate::input::{Line, read_line};
use crate::report::print_end;
use crate::scoring::Scoring;
use crate::self_test::tested_model;
use crate::{Board, Buffers, Input, MAX_LINE, ProgramError};

/// What lines that start with a colon change.
#[derive(Clone, Copy, Debug)]
struct Dialogue {
    settings: Settings,
    max_tokens: usize,
    /// Tell each token with its surprisal, a line each, instead of the text.
    tells_bits: bool,
}

/// Why a line was not answered, or a text ended early.
enum Refusal {
    TooLong,
    Encode(EncodeError),
    Generate(GenerateError),
    Settings(SettingsError),
}

/// Reads prompts, a line each, and writes what follows each of them, until no more lines come; says whether all was
/// well. A line that cannot be served is answered with the reason.
///
/// Each prompt starts a text of its own with the seed's first random number: the text is the one that `emberlm generate`
/// writes for keys and values of the same type: the largest of which every layer's have room.
pub fn console<B: Board + Input>(board: &mut B, model: &[u8], buffers: Buffers<'_>) -> bool {
    let result = run(board, model, buffers);
    print_end(board, result)
}

fn run<B: Board + Input>(board: &mut B, model: &[u8], mut buffers: Buffers<'_>) -> Result<(), ProgramError> {
    board.line(key::BOARD, B::NAME)?;
    let other_bytes = board.static_bytes() - buffers.bytes();
    let config = *Model::open(Mapped::new(model)?)?.config();
    let run = run_in(&buffers, &config);
    let need = console_need(&config, run);
    let mut model = tested_model(board, Mapped::new(model)?, &[run.kv_type], buffers.reborrow())?;
    let tokenizer = model.tokenizer()?.ok_or(ProgramError::NoTokenizer)?;
    let text_tokens = model.text_tokens().map_err(OpenError::from)?;
    let n_ctx = run.n_ctx;
    board.line(key::ARITHMETIC, ARITHMETIC)?;
    board.line(key::KV, run.kv_type.name())?;
    if let Some(pruned) = text_tokens.pruned(config.n_vocab) {
        board.line(key::VOCABULARY, pruned)?;
    }
    board.line(key::N_CTX, n_ctx)?;
    board.line(key::RAM_BYTES, other_bytes + need.bytes())?;
    if buffers.tokens.len() < need.tokens {
        return Err(ProgramError::Tokens { need: need.tokens, have: buffers.tokens.len() });
    }
    let (mut session, tokens) = Scoring::<_, B::Kernel>::new(model, run, buffers)?.into_parts();
    let (context, prompt) = tokens.split_at_mut(n_ctx);

    let mut dialogue = Dialogue { settings: Settings::DEFAULT, max_tokens: 128, tells_bits: false };
    let (bos, prompt) = prompt.split_at_mut(1);
    let n_bos = usize::from(text_tokens.adds_bos);
    bos.fill(text_tokens.bos);
    let mut line = [0; MAX_LINE];
    loop {
        board.write_str("> ")?;
        let refusal = match read_line(board, &mut line)? {
            Line::End => break,
            Line::TooLong => Err(Refusal::TooLong),
            Line::Typed([b':', command @ ..]) => dialogue.command(command),
            Line::Typed(text) => match tokenizer.encode_utf8(text, prompt) {
                Err(error) => Err(Refusal::Encode(error)),
                Ok(n) => {
                    let prompt = [&bos[..n_bos], &prompt[..n]];
                    let text = Text { session: &mut session, context, tokenizer, text_tokens };
                    text.write(board, &dialogue, prompt)?
                }
            },
        };
        match refusal {
            Ok(()) => {}
            Err(Refusal::TooLong) => {
                board.line(key::ERROR, format_args!("the line is longer than {MAX_LINE} bytes"))?;
            }
            Err(Refusal::Encode(error)) => board.line(key::ERROR, error)?,
            Err(Refusal::Generate(error)) => board.line(key::ERROR, error)?,
            Err(Refusal::Settings(error)) => {
                board.line(key::ERROR, format_args!("{error}; and `bits on` or `off`"))?;
            }
        }
    }
    writeln!(board)?;
    board.line(key::STACK_BYTES, board.stack_bytes())?;
    Ok(())
}

/// A run over the whole context, with the largest keys and values that the buffers have room for.
fn run_in(buffers: &Buffers<'_>, config: &Config) -> Run {
    let of =
        |kv_type| Run { batch: buffers.sinks.len(), ..Run::new(Order::TokenMajor, kv_type, config.n_ctx as usize) };
    let fits = |run: &Run| Need::new(config, *run).kv_words <= buffers.kv.len();
    KvType::ALL.into_iter().map(of).find(fits).unwrap_or(of(KvType::I8))
}

/// What [`console`] takes in such a run.
pub const fn console_need(config: &Config, run: Run) -> Need {
    // A prompt may have a token for each byte, one for a space that is not its own, and one that texts begin with.
    Need { tokens: run.n_ctx + MAX_LINE + 2, ..Need::new(config, run) }
}

impl Dialogue {
    /// A setting's name, a space and its value.
    fn command(&mut self, command: &[u8]) -> Result<(), Refusal> {
        let command = core::str::from_utf8(command).unwrap_or_default().trim();
        let (name, value) = command.split_once(' ').unwrap_or((command, ""));
        match (name, value.trim()) {
            ("bits", "on") => self.tells_bits = true,
            ("bits", "off") => self.tells_bits = false,
            ("max-tokens", value) => {
                self.max_tokens = value.parse().map_err(|_| Refusal::Settings(SettingsError::NotANumber))?;
            }
            (name, value) => self.settings.set(name, value).map_err(Refusal::Settings)?,
        }
        Ok(())
    }
}

/// What a text is written with.
struct Text<'t, 'b, K> {
    session: &'t mut Session<'b, Mapped<'b>, K>,
    context: &'t mut [TokenId],
    tokenizer: Tokenizer<'b>,
    text_tokens: TextTokens,
}

impl<K: Kernel> Text<'_, '_, K> {
    /// Writes what follows `prompt`, and a line on it.
    fn write<B: Board + Input>(
        self,
        board: &mut B,
        dialogue: &Dialogue,
        prompt: [&[TokenId]; 2],
    ) -> Result<Result<(), Refusal>, ProgramError> {
        let Self { session, context, tokenizer, text_tokens } = self;
        let sampler = match Sampler::new(dialogue.settings) {
            Ok(sampler) => sampler,
            Err(error) => return Ok(Err(Refusal::Settings(error))),
        };
        let begun = Generation::new(session, sampler, context, WhenFull::Stop)
            .and_then(|mut generation| prompt.iter().try_for_each(|part| generation.append(part)).map(|()| generation));
        let mut generation = match begun {
            Ok(generation) => generation,
            Err(error) => return Ok(Err(Refusal::Generate(error))),
        };
        let [_, own] = prompt;
        let mut decoder = Decoder::after(tokenizer, own);
        let (mut n, mut nats, mut stopped) = (0, 0.0, "max_tokens");
        let (start, mut first) = (board.ticks(), board.ticks());
        while n < dialogue.max_tokens {
            let drawn = match generation.next_token() {
                Ok(Some(drawn)) => drawn,
                Ok(None) => {
                    stopped = "context_full";
                    break;
                }
                Err(error) => return Ok(Err(Refusal::Generate(error))),
            };
            if n == 0 {
                first = board.ticks();
            }
            n += 1;
            nats += f64::from(drawn.nll);
            if text_tokens.ends_with(drawn.token) {
                stopped = "end_of_text";
                break;
            }
            match dialogue.tells_bits {
                true => tell_bits(board, &tokenizer, drawn)?,
                false => match decoder.push(drawn.token, board) {
                    Err(DecodeError::UnknownToken(_)) => board.write_char(char::REPLACEMENT_CHARACTER)?,
                    other => other.map_err(|_| ProgramError::Console)?,
                },
            }
            board.show()?;
        }
        let last = board.ticks();
        if !dialogue.tells_bits {
            decoder.finish(board)?;
            writeln!(board)?;
        }
        let others = u64::try_from(n).unwrap_or(u64::MAX).saturating_sub(1);
        let each = B::instructions(last - first).checked_div(others).unwrap_or(0);
        let bits = if n > 0 { nats / n as f64 / core::f64::consts::LN_2 } else { 0.0 };
        writeln!(
            board,
            "-- prompt: {} tokens, {} instructions; {n} tokens, {each} instructions a token, {bits:.3} bits a token; \
             ended by {stopped}",
            prompt[0].len() + prompt[1].len(),
            B::instructions(first - start),
        )?;
        Ok(Ok(()))
    }
}

/// A line as `emberlm surprisal` prints it: bits, a tab, the token as a string literal.
fn tell_bits<B: Board>(board: &mut B, tokenizer: &Tokenizer<'_>, drawn: Drawn) -> Result<(), ProgramError> {
    let mut buffer = [0; 4];
    let bytes = tokenizer.token_bytes(drawn.token, &mut buffer).unwrap_or_default();
    let bits = f64::from(drawn.nll) / core::f64::consts::LN_2;
    write!(board, "{bits:.3}\t\"")?;
    for chunk in bytes.utf8_chunks() {
        write!(board, "{}", chunk.valid().escape_debug())?;
        if !chunk.invalid().is_empty() {
            board.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    writeln!(board, "\"")?;
    Ok(())
}
