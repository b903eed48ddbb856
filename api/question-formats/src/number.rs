//! Decimal numbers as learners and authors write them.

use rust_decimal::Decimal;

/// The maximum number of bytes of a text that is read as a number. A longer text is refused before it costs any work.
const MAX_BYTES: usize = 64;
/// The number of digits of the greatest [`Decimal`]. Any number of up to 28 digits fits.
const MAX_DIGITS: i64 = 29;

/// Reads a number such as `5`, `-0.25`, `+.5` or `1.5e-3`, with or without white space around it. Drops zeros at the
/// end of the digits after the point.
///
/// Returns `None` if the text is not a number, has more than 64 bytes, or if [`Decimal`] cannot represent the number
/// exactly. A `Decimal` can represent any number of up to 28 digits, including those after the point.
#[must_use]
pub fn exact(text: &str) -> Option<Decimal> {
    let text = text.trim();
    if text.len() > MAX_BYTES {
        return None;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let written = format!("{whole}{fraction}");
    if written.is_empty() || !written.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = written.trim_end_matches('0');
    if digits.is_empty() {
        return Some(Decimal::ZERO);
    }
    // The number is `digits` divided by 10 to the power of `scale`.
    let ended = i64::try_from(written.len() - digits.len()).ok()?;
    let scale = i64::try_from(fraction.len()).ok()? - ended - i64::from(exponent);
    let number: i128 = digits.parse().ok()?;
    let number = if mantissa.starts_with('-') { -number } else { number };
    let held = match u32::try_from(scale) {
        Ok(scale) => Decimal::try_from_i128_with_scale(number, scale),
        // A negative scale means zeros at the end of the number. [`MAX_DIGITS`] zeros or more would not fit a
        // `Decimal`.
        Err(_) if -scale < MAX_DIGITS => {
            let zeros = 10_i128.checked_pow(u32::try_from(-scale).ok()?)?;
            Decimal::try_from_i128_with_scale(number.checked_mul(zeros)?, 0)
        }
        Err(_) => return None,
    };
    held.ok()
}

#[cfg(test)]
mod tests {
    use super::exact;

    fn read(text: &str) -> Option<String> {
        exact(text).map(|number| number.to_string())
    }

    fn is(text: &str, number: &str) {
        assert_eq!(read(text).as_deref(), Some(number), "{text:?}");
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, number) in [
            ("5", "5"),
            ("-0.25", "-0.25"),
            ("+5", "5"),
            ("007", "7"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            (" 9.81\t", "9.81"),
            ("2.50", "2.5"),
            ("1200", "1200"),
            ("0", "0"),
            ("-0.00", "0"),
        ] {
            is(text, number);
        }
    }

    #[test]
    fn exponents_move_the_decimal_point() {
        for (text, number) in [
            ("1.5e-3", "0.0015"),
            ("6.022E23", "602200000000000000000000"),
            ("-1e+3", "-1000"),
            ("120e-1", "12"),
            ("1e28", "10000000000000000000000000000"),
            ("1e-28", "0.0000000000000000000000000001"),
            // The next three numbers fit only because zeros at the beginning or the end of their digits are dropped.
            ("1000e-30", "0.000000000000000000000000001"),
            ("0.0000000000000000000000000000001e31", "1"),
            ("0e99", "0"),
        ] {
            is(text, number);
        }
        for text in ["1e29", "8e28", "1e-29", "1e2147483647", "1e-2147483648", "1e99999999999999999999"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        let digits = "1234567890123456789012345678";
        for text in [
            digits.to_owned(),
            format!("-{digits}"),
            format!("0.{digits}"),
            format!("12345678901234.{}", &digits[14..]),
            // The greatest `Decimal`, which has 29 digits.
            "79228162514264337593543950335".to_owned(),
            "-7.9228162514264337593543950335".to_owned(),
        ] {
            is(&text, &text);
        }
        is(&format!("{digits}.000000"), digits);
        for text in [
            format!("9{digits}"),
            format!("9.{digits}"),
            format!("0.{digits}1"),
            format!("{digits}.01"),
            format!("9{digits}e0"),
            "79228162514264337593543950336".to_owned(),
            "0.79228162514264337593543950335".to_owned(),
            "9".repeat(60),
            "1".repeat(5_000),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }

    #[test]
    fn texts_that_are_not_numbers_are_refused() {
        for text in [
            "",
            " ",
            ".",
            "-",
            "+",
            "-.",
            "e5",
            ".e5",
            "1e",
            "1e-",
            "1e1.5",
            "1e5e5",
            "1.2.3",
            "++5",
            "+-5",
            "5-",
            "1_000",
            "1e1_0",
            "1,5",
            "1 000",
            "1 e3",
            "- 5",
            "0x10",
            "NaN",
            "inf",
            "½",
            "٣",
            "5\u{a0}000",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
