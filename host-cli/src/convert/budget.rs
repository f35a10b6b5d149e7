//! Sharing out bytes among matrices: where another one helps most.

use std::fmt;
use std::str::FromStr;

use emberlm_core::format::Format;

use crate::ground::shown;

/// How large a model may become.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// Bytes of the whole blob.
    Bytes(u64),
    /// Bits a weight over all matrices and embeddings, scales and padding included.
    BitsPerWeight(f64),
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is no budget: write bytes as 500000, 512K or 2M, or bits a weight as 4.5bpw",
                shown::value(text)
            )
        };
        if let Some(bits) = text.strip_suffix("bpw") {
            let bits: f64 = bits.trim_end().parse().map_err(|_| wrong())?;
            return if bits > 0.0 && bits.is_finite() { Ok(Self::BitsPerWeight(bits)) } else { Err(wrong()) };
        }
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
            Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
            _ => (text, 1u64),
        };
        let n: u64 = digits.parse().map_err(|_| wrong())?;
        n.checked_mul(unit).map(Self::Bytes).ok_or_else(wrong)
    }
}

impl Budget {
    /// The shortest word that is read as this budget.
    pub fn word(self) -> String {
        match self {
            Self::Bytes(bytes) if bytes > 0 && bytes % (1 << 20) == 0 => format!("{}M", bytes >> 20),
            Self::Bytes(bytes) if bytes > 0 && bytes % (1 << 10) == 0 => format!("{}K", bytes >> 10),
            Self::Bytes(bytes) => bytes.to_string(),
            Self::BitsPerWeight(bits) => format!("{bits}bpw"),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Self::BitsPerWeight(bits) => write!(f, "{bits} bits a weight"),
        }
    }
}

/// One way to store a matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The format.
    pub format: Format,
    /// Bytes that the matrix takes.
    pub bytes: u64,
    /// What it costs: nats of divergence, or anything that adds up over matrices.
    pub damage: f64,
}

/// Picks one candidate a matrix so that all take at most `bytes`, with as little damage as it can find; `None` where
/// even the smallest take more. Matrices' candidates are in the order of their formats, and there is one at least.
///
/// From the smallest on, the step is taken again and again that mends most a byte, among steps that still fit; what one
/// format for all matrices would give within the same bytes is never better.
pub fn share_out(matrices: &[Vec<Candidate>], bytes: u64) -> Option<Vec<Candidate>> {
    let mut picked: Vec<Candidate> = matrices.iter().map(|choices| smallest(choices)).collect();
    let mut left = bytes.checked_sub(picked.iter().map(|pick| pick.bytes).sum())?;
    while let Some((matrix, step)) = best_step(matrices, &picked, left) {
        left -= step.bytes - picked[matrix].bytes;
        picked[matrix] = step;
    }
    let damage = |picks: &[Candidate]| picks.iter().map(|pick| pick.damage).sum::<f64>();
    let uniform = Format::ALL.into_iter().filter_map(|format| {
        let of_format = |choices: &Vec<Candidate>| choices.iter().copied().find(|choice| choice.format == format);
        let picks = matrices.iter().map(of_format).collect::<Option<Vec<_>>>()?;
        (picks.iter().map(|pick| pick.bytes).sum::<u64>() <= bytes).then_some(picks)
    });
    uniform.chain([picked]).min_by(|a, b| damage(a).total_cmp(&damage(b)))
}

fn smallest(choices: &[Candidate]) -> Candidate {
    *choices.iter().min_by_key(|choice| choice.bytes).expect("a matrix has candidates")
}

/// The matrix and its next candidate that mend most a byte, of those that take at most `left` bytes more. A free one
/// comes before all others.
fn best_step(matrices: &[Vec<Candidate>], picked: &[Candidate], left: u64) -> Option<(usize, Candidate)> {
    let steps = matrices.iter().zip(picked).enumerate().flat_map(|(matrix, (choices, pick))| {
        choices.iter().filter_map(move |choice| {
            let more = choice.bytes.checked_sub(pick.bytes)?;
            let mended = pick.damage - choice.damage;
            (mended > 0.0 && more <= left).then_some((mended / more as f64, matrix, *choice))
        })
    });
    steps.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, matrix, step)| (matrix, step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn choices(weights: u64, damage: f64) -> Vec<Candidate> {
        let of = |(format, bits, factor): (Format, u64, f64)| Candidate {
            format,
            bytes: weights * bits / 8,
            damage: damage * factor,
        };
        [(Format::Q8, 8, 1.0), (Format::Q4, 4, 256.0), (Format::Q3, 3, 1024.0)].map(of).to_vec()
    }

    #[test]
    fn budgets_as_people_write_them() {
        let cases = [("512K", 512 << 10), ("2M", 2 << 20), ("123456", 123_456), ("0", 0)];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(Budget::Bytes(bytes)));
        }
        assert_eq!("4.5bpw".parse(), Ok(Budget::BitsPerWeight(4.5)));
        for text in ["", "K", "-1", "1.5K", "bpw", "-4bpw", "infbpw", "nanbpw", "99999999999999M", "é"] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_go_where_they_help_most() {
        let matrices = [choices(8000, 1.0), choices(8000, 1e-3), choices(800, 1.0)];
        let formats = |bytes| share_out(&matrices, bytes).map(|picks| picks.iter().map(|p| p.format.name()).collect());
        assert_eq!(formats(6299), None);
        assert_eq!(formats(6300), Some(vec!["q3", "q3", "q3"]));
        assert_eq!(formats(6800), Some(vec!["q3", "q3", "q8"]));
        assert_eq!(formats(11_800), Some(vec!["q8", "q3", "q8"]));
        assert_eq!(formats(u64::MAX), Some(vec!["q8", "q8", "q8"]));
    }

    proptest! {
        #[test]
        fn never_worse_than_one_format_for_all_and_never_too_large(
            shapes in prop::collection::vec((1u64..5000, 1e-6f64..1.0), 1..12),
            share in 0.0f64..1.2,
        ) {
            let matrices: Vec<_> = shapes.iter().map(|&(weights, damage)| choices(8 * weights, damage)).collect();
            let all = |bits: u64| shapes.iter().map(|(weights, _)| bits * weights).sum::<u64>();
            let (least, most) = (all(3), all(8));
            let bytes = least + ((most - least) as f64 * share) as u64;
            let picks = share_out(&matrices, bytes).unwrap();
            prop_assert!(picks.iter().map(|pick| pick.bytes).sum::<u64>() <= bytes);
            let damage: f64 = picks.iter().map(|pick| pick.damage).sum();
            for uniform in 0..3 {
                let picks = || matrices.iter().map(|choices| choices[uniform]);
                if picks().map(|pick| pick.bytes).sum::<u64>() <= bytes {
                    prop_assert!(damage <= picks().map(|pick| pick.damage).sum::<f64>());
                }
            }
        }
    }
}
