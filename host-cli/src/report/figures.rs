//! Numbers as people read them: every report prints them by these.

/// A number: six decimals, or the scientific notation of what they would hide or what is beyond them.
pub fn figure(value: impl Into<Option<f64>>) -> String {
    match value.into().filter(|value| value.is_finite()) {
        None => "unknown".into(),
        Some(value) if value != 0.0 && !(1e-3..1e9).contains(&value.abs()) => format!("{value:.2e}"),
        Some(value) => format!("{value:.6}"),
    }
}

/// A count, in groups of three digits.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decimals_hide_is_scientific_and_what_is_no_number_is_not_one() {
        for (value, text) in [
            (1.652_500_4, "1.652500"),
            (-0.25, "-0.250000"),
            (0.0, "0.000000"),
            (2.24e-5, "2.24e-5"),
            (-9.99e-4, "-9.99e-4"),
            (3e12, "3.00e12"),
            (f64::NAN, "unknown"),
            (f64::INFINITY, "unknown"),
            (f64::NEG_INFINITY, "unknown"),
        ] {
            assert_eq!(figure(value), text);
        }
        assert_eq!(figure(None), "unknown");
    }

    #[test]
    fn digits_are_in_groups() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(count(value), text);
        }
    }
}
