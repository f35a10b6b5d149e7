//! How tokens are chosen.

use super::MAX_CANDIDATES;
use core::fmt;

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings {
    /// Divides the logits: 0 always takes the most likely token, 1 leaves the model's own probabilities. 0, or 0.001 to
    /// 1000.
    pub temperature: f32,
    /// Draw among the most likely tokens only, so many: 1 to [`MAX_CANDIDATES`].
    pub top_k: Option<usize>,
    /// Draw among the most likely tokens whose probabilities come to this, at most [`MAX_CANDIDATES`] tokens: 0 to 1, and
    /// 1 is no limit.
    pub top_p: f32,
    /// Draw among tokens at least so likely as a part of the most likely one, at most [`MAX_CANDIDATES`] tokens: 0 to 1,
    /// and 0 is no limit.
    pub min_p: f32,
    /// Makes the last [`RECENT`](super::RECENT) tokens less likely: positive logits are divided by it, negative ones
    /// multiplied. 0.1 to 10, and 1 leaves them alone.
    pub repeat_penalty: f32,
    /// Where the random numbers start.
    pub seed: u64,
}

/// A setting out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SettingsError {
    /// Not 0, nor from 0.001 to 1000.
    Temperature,
    /// Not from 1 to [`MAX_CANDIDATES`].
    TopK,
    /// Not from 0 to 1.
    TopP,
    /// Not from 0 to 1.
    MinP,
    /// Not from 0.1 to 10.
    RepeatPenalty,
    /// A value that is no number.
    NotANumber,
    /// No such setting. The message is a console's, which counts tokens itself.
    Unknown,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temperature => f.write_str("the temperature is 0, or from 0.001 to 1000"),
            Self::TopK => write!(f, "top-k is from 1 to {MAX_CANDIDATES}"),
            Self::TopP => f.write_str("top-p is from 0 to 1"),
            Self::MinP => f.write_str("min-p is from 0 to 1"),
            Self::NotANumber => f.write_str("the value is no number"),
            Self::Unknown => {
                f.write_str("the settings are seed, temperature, top-k, top-p, min-p, repeat-penalty and max-tokens")
            }
            Self::RepeatPenalty => f.write_str("the repetition penalty is from 0.1 to 10"),
        }
    }
}

impl core::error::Error for SettingsError {}

impl Settings {
    /// What programs start from.
    pub const DEFAULT: Self =
        Self { temperature: 0.8, top_k: None, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, seed: 0 };

    /// Checks every range.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let part = 0.0..=1.0;
        let checks = [
            (self.temperature == 0.0 || (0.001..=1000.0).contains(&self.temperature), SettingsError::Temperature),
            (self.top_k.is_none_or(|k| (1..=MAX_CANDIDATES).contains(&k)), SettingsError::TopK),
            (part.contains(&self.top_p), SettingsError::TopP),
            (part.contains(&self.min_p), SettingsError::MinP),
            ((0.1..=10.0).contains(&self.repeat_penalty), SettingsError::RepeatPenalty),
        ];
        checks.into_iter().try_for_each(|(holds, error)| if holds { Ok(()) } else { Err(error) })
    }

    /// Changes the setting of that name, as the command line spells it, to the value that `value` spells; `off` takes
    /// top-k away.
    ///
    /// # Errors
    /// There is no such setting, `value` is no number, or it is out of its range: nothing has changed.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingsError> {
        let mut changed = *self;
        let number = || value.parse::<f32>().map_err(|_| SettingsError::NotANumber);
        match name {
            "temperature" => changed.temperature = number()?,
            "top-k" if value == "off" => changed.top_k = None,
            "top-k" => changed.top_k = Some(value.parse().map_err(|_| SettingsError::NotANumber)?),
            "top-p" => changed.top_p = number()?,
            "min-p" => changed.min_p = number()?,
            "repeat-penalty" => changed.repeat_penalty = number()?,
            "seed" => changed.seed = value.parse().map_err(|_| SettingsError::NotANumber)?,
            _ => return Err(SettingsError::Unknown),
        }
        changed.validate()?;
        *self = changed;
        Ok(())
    }

    /// Whether there is a repetition penalty.
    pub(super) fn penalises(&self) -> bool {
        self.repeat_penalty != 1.0
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name() {
        let mut settings = Settings::DEFAULT;
        let words = [("temperature", "0.5"), ("top-k", "7"), ("top-p", "0.9"), ("min-p", "0.1"), ("seed", "3")];
        for (name, value) in words.into_iter().chain([("repeat-penalty", "1.5")]) {
            settings.set(name, value).unwrap();
        }
        let want = Settings { temperature: 0.5, top_k: Some(7), top_p: 0.9, min_p: 0.1, repeat_penalty: 1.5, seed: 3 };
        assert_eq!(settings, want);
        assert_eq!(settings.set("top-p", "2"), Err(SettingsError::TopP));
        assert_eq!(settings.set("top-p", "x"), Err(SettingsError::NotANumber));
        assert_eq!(settings.set("top-q", "2"), Err(SettingsError::Unknown));
        assert_eq!(settings, want);
        settings.set("top-k", "off").unwrap();
        assert_eq!(settings.top_k, None);
    }

    #[test]
    fn ranges() {
        let plain = Settings::DEFAULT;
        assert_eq!(plain.validate(), Ok(()));
        assert_eq!(Settings { temperature: 0.0, top_k: Some(128), top_p: 0.0, min_p: 1.0, ..plain }.validate(), Ok(()));
        for (settings, error) in [
            (Settings { temperature: -1.0, ..plain }, SettingsError::Temperature),
            (Settings { temperature: 1e-4, ..plain }, SettingsError::Temperature),
            (Settings { temperature: f32::NAN, ..plain }, SettingsError::Temperature),
            (Settings { top_k: Some(0), ..plain }, SettingsError::TopK),
            (Settings { top_k: Some(129), ..plain }, SettingsError::TopK),
            (Settings { top_p: 1.1, ..plain }, SettingsError::TopP),
            (Settings { min_p: -0.1, ..plain }, SettingsError::MinP),
            (Settings { repeat_penalty: 0.0, ..plain }, SettingsError::RepeatPenalty),
        ] {
            assert_eq!(settings.validate(), Err(error), "{settings:?}");
        }
    }
}
