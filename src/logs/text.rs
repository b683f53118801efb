//! Numbers as people read them.

use std::time::Duration;

/// Four significant digits: `0.2134`, `12.35`, `1876`, `1.2e-5`.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let size = value.abs();
    let text = match size {
        0.0 => "0".to_string(),
        _ if !(1e-3..1e6).contains(&size) => {
            let text = format!("{value:.2e}");
            let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
            return format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'));
        }
        _ if size >= 1000.0 => format!("{value:.0}"),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

/// `48 s`, `12 min 5 s`, `3 h 5 min`.
pub(crate) fn duration(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_count() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.25, "0.25"),
            (-0.213_44, "-0.2134"),
            (12.345, "12.35"),
            (123.44, "123.4"),
            (1876.4, "1876"),
            (0.000_012_3, "1.23e-5"),
            (0.001, "0.001"),
            (2e9, "2e9"),
            (3.1e8, "3.1e8"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(short(value), text);
        }
        for (seconds, text) in [(3.21, "3.2 s"), (48.9, "48 s"), (725.0, "12 min 5 s"), (11_100.0, "3 h 5 min")] {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), text);
        }
    }
}
