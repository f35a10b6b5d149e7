//! Everything that says which token comes next.

use super::{Candidates, Generator, GumbelMax, Recent, Settings, SettingsError, generator};
use crate::config::TokenId;
use crate::loss::LogSumExp;
use crate::part::part;
use crate::sink::{ArgMax, LogitError, LogitSink};

/// Logits that are penalised at a time.
const BLOCK: usize = 32;

/// Chooses tokens as [`Settings`] say, one pass of logits after another.
#[derive(Clone, Debug)]
pub struct Sampler {
    settings: Settings,
    generator: Generator,
    recent: Recent,
    candidates: Candidates,
}

/// The token that comes next.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drawn {
    /// The token.
    pub token: TokenId,
    /// Its negative log-likelihood in nats by the model alone: without penalty, at a temperature of 1, among all tokens.
    pub nll: f32,
}

impl Sampler {
    /// A sampler at the start of a text.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.validate()?;
        let generator = generator(settings.seed);
        Ok(Self { settings, generator, recent: Recent::new(), candidates: Candidates::new(1.0, None) })
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes note of a token of the text, of the prompt or drawn, for the repetition penalty.
    pub fn observe(&mut self, token: TokenId) {
        self.recent.push(token);
    }

    /// A sink for the logits of one position. Dropped before [`Draw::finish`], it leaves the sampler where it was.
    pub fn draw(&mut self) -> Draw<'_> {
        let Settings { temperature, top_k, top_p, min_p, .. } = self.settings;
        let chooser = if temperature == 0.0 {
            Chooser::Greedy(ArgMax::new(), f32::NEG_INFINITY)
        } else if top_k.is_none() && top_p >= 1.0 && min_p <= 0.0 {
            Chooser::Gumbel(GumbelMax::new(self.generator.clone(), temperature))
        } else {
            self.candidates = Candidates::new(temperature, top_k);
            Chooser::Candidates(&mut self.candidates)
        };
        Draw {
            chooser,
            settings: &self.settings,
            generator: &mut self.generator,
            recent: &mut self.recent,
            log_sum_exp: LogSumExp::new(),
        }
    }
}

/// The logits of one position on their way to a token.
#[derive(Debug)]
pub struct Draw<'s> {
    chooser: Chooser<'s>,
    settings: &'s Settings,
    generator: &'s mut Generator,
    recent: &'s mut Recent,
    /// Of the logits without the penalty.
    log_sum_exp: LogSumExp,
}

#[derive(Debug)]
enum Chooser<'s> {
    /// And the largest logit.
    Greedy(ArgMax, f32),
    Gumbel(GumbelMax),
    Candidates(&'s mut Candidates),
}

impl Draw<'_> {
    /// The token; `None` before any logit.
    ///
    /// # Errors
    /// [`LogitError::NotANumber`] if the logits have no softmax.
    pub fn finish(self) -> Result<Option<Drawn>, LogitError> {
        let choice = match self.chooser {
            Chooser::Greedy(sink, logit) => sink.token()?.map(|token| (token, logit)),
            Chooser::Gumbel(sink) => {
                let choice = sink.choice()?;
                *self.generator = sink.into_generator();
                choice
            }
            Chooser::Candidates(sink) => {
                let drawn = sink.draw(self.settings.top_p, self.settings.min_p, self.generator)?;
                drawn.map(|candidate| (candidate.token, candidate.logit))
            }
        };
        let Some((token, logit)) = choice else { return Ok(None) };
        let logit = if self.settings.penalises() { self.recent.logit(token).unwrap_or(logit) } else { logit };
        let nll = self.log_sum_exp.nll(logit)?.filter(|&nll| nll > f32::NEG_INFINITY).ok_or(LogitError::NotANumber)?;
        Ok(Some(Drawn { token, nll: nll.max(0.0) }))
    }
}

impl LogitSink for Chooser<'_> {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        match self {
            Self::Greedy(sink, largest) => {
                sink.push(first, logits);
                *largest = logits.iter().fold(*largest, |largest, &logit| largest.max(logit));
            }
            Self::Gumbel(sink) => sink.push(first, logits),
            Self::Candidates(sink) => sink.push(first, logits),
        }
    }
}

impl LogitSink for Draw<'_> {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        self.log_sum_exp.push(first, logits);
        if !self.settings.penalises() {
            self.chooser.push(first, logits);
            return;
        }
        for (first, logits) in (first..).step_by(BLOCK).zip(logits.chunks(BLOCK)) {
            let mut penalised = [0.0; BLOCK];
            self.recent.penalise(self.settings.repeat_penalty, first, logits, &mut penalised);
            self.chooser.push(first, part(&penalised, ..logits.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(sampler: &mut Sampler, logits: &[f32], block: usize) -> Result<Option<Drawn>, LogitError> {
        let mut draw = sampler.draw();
        for (i, chunk) in logits.chunks(block).enumerate() {
            draw.push((i * block) as TokenId, chunk);
        }
        draw.finish()
    }

    const GREEDY: Settings = Settings { temperature: 0.0, ..Settings::DEFAULT };

    #[test]
    fn greedy_takes_the_first_of_the_largest_and_measures_it() {
        let mut sampler = Sampler::new(GREEDY).unwrap();
        assert_eq!(drawn(&mut sampler, &[], 1), Ok(None));
        let drawn = drawn(&mut sampler, &[0.0, 2.0, 2.0], 2).unwrap().unwrap();
        let want = (2.0 + (-2f32).exp()).ln();
        assert!(drawn.token == 1 && (drawn.nll - want).abs() < 1e-6, "{drawn:?}");
    }

    #[test]
    fn the_penalty_counts_once_and_is_forgotten_and_the_measure_knows_none() {
        let mut sampler = Sampler::new(Settings { repeat_penalty: 2.0, ..GREEDY }).unwrap();
        let mut logits = [0.0; 100];
        (logits[70], logits[90], logits[3]) = (4.0, 2.5, 1.9);
        for _ in 0..3 {
            sampler.observe(70);
        }
        // 4.0 becomes 2.0, below 2.5; counted thrice it would fall below 1.9 too.
        assert_eq!(drawn(&mut sampler, &logits, 33).unwrap().unwrap().token, 90);
        sampler.observe(90);
        let again = drawn(&mut sampler, &logits, 33).unwrap().unwrap();
        let sum: f32 = logits.iter().map(|x| x.exp()).sum();
        assert!(again.token == 70 && (again.nll - (sum.ln() - 4.0)).abs() < 1e-5, "{again:?}");
        let negative = [-1.0, -1.5, -9.0];
        sampler.observe(0);
        assert_eq!(drawn(&mut sampler, &negative, 3).unwrap().unwrap().token, 1);
        (0..super::super::RECENT).for_each(|_| sampler.observe(2));
        assert_eq!(drawn(&mut sampler, &negative, 3).unwrap().unwrap().token, 0);
    }

    const DRAWS: usize = if cfg!(miri) { 3 } else { 60 };

    #[test]
    fn blocks_do_not_matter_and_a_dropped_draw_takes_no_number() {
        let logits: [f32; 97] = core::array::from_fn(|i| ((i * 37) % 97) as f32 * 0.04);
        let plain = Settings { temperature: 1.0, seed: 3, ..Settings::DEFAULT };
        for settings in [
            plain,
            Settings { repeat_penalty: 1.3, ..plain },
            Settings { top_k: Some(20), repeat_penalty: 1.1, ..plain },
            Settings { top_p: 0.8, min_p: 0.01, ..plain },
        ] {
            let run = |block: usize, dropped: bool| {
                let mut sampler = Sampler::new(settings).unwrap();
                core::array::from_fn::<_, DRAWS, _>(|_| {
                    if dropped {
                        sampler.draw().push(0, &logits[..50]);
                    }
                    let drawn = drawn(&mut sampler, &logits, block).unwrap().unwrap();
                    sampler.observe(drawn.token);
                    (drawn.token, drawn.nll.to_bits())
                })
            };
            let want = run(97, false);
            assert!([1, 7, 48].into_iter().all(|block| run(block, true) == want), "{settings:?}");
        }
    }

    #[test]
    fn logits_without_a_softmax_are_an_error_for_every_sampler() {
        let plain = Settings { temperature: 1.0, ..Settings::DEFAULT };
        for settings in [GREEDY, plain, Settings { top_k: Some(2), ..plain }, Settings { top_p: 0.5, ..plain }] {
            for bad in [[f32::NAN, 0.0], [0.0, f32::NAN], [0.0, f32::INFINITY], [f32::NEG_INFINITY; 2], [-1e9; 2]] {
                let drawn = drawn(&mut Sampler::new(settings).unwrap(), &bad, 2);
                assert_eq!(drawn, Err(LogitError::NotANumber), "{settings:?} {bad:?}");
            }
        }
    }
}
