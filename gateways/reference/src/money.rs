//! Exact US dollars, counted in pico-dollars (10^-12), which is fine enough for
//! the price of one token. No figure ever passes through floating point, but where a format has nothing
//! else (metrics and traces).

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

const PICO_PER_DOLLAR: i64 = 1_000_000_000_000;

/// An exact amount of US dollars, in whole pico-dollars.
///
/// The largest amount is about nine million dollars; arithmetic stops there, and
/// a figure that is too large or too fine is an error when it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Usd(i64);

/// Why a text is no amount of US dollars.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum MoneyError {
    /// The text is not a decimal number.
    #[error("`{0}` is not an amount of US dollars")]
    NotANumber(String),
    /// The number has parts finer than a pico-dollar, or is beyond nine million.
    #[error("`{0}` cannot be kept exactly: at most 12 decimal places and below 9223372 dollars")]
    NotExact(String),
}

impl Usd {
    /// Nothing.
    pub(crate) const ZERO: Usd = Usd(0);

    /// An amount given in pico-dollars.
    pub(crate) const fn from_pico(pico: i64) -> Usd {
        Usd(pico)
    }

    /// The amount in pico-dollars.
    pub(crate) const fn pico(self) -> i64 {
        self.0
    }

    /// This price for each of `count` units. Stops at the largest amount.
    pub(crate) fn times(self, count: u64) -> Usd {
        let product = i128::from(self.0) * i128::from(count);
        Usd(i64::try_from(product).unwrap_or(i64::MAX))
    }

    /// The sum. Stops at the largest amount.
    pub(crate) fn plus(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }
}

impl Usd {
    /// The nearest number that a format without decimals can carry; up to 15 digits are exact.
    pub(crate) fn to_float(self) -> f64 {
        #[expect(clippy::expect_used, reason = "an amount prints as a plain decimal number")]
        self.to_string().parse().expect("a number")
    }
}

impl FromStr for Usd {
    type Err = MoneyError;

    /// Reads a JSON number as written: `0.005`, `2.5e-06`, `1`.
    fn from_str(text: &str) -> Result<Usd, MoneyError> {
        let wrong = || MoneyError::NotANumber(text.to_owned());
        let inexact = || MoneyError::NotExact(text.to_owned());
        let number = if text.contains(['e', 'E']) {
            Decimal::from_scientific(text).map_err(|_| wrong())?
        } else {
            match Decimal::from_str_exact(text) {
                Ok(number) => number,
                Err(rust_decimal::Error::Underflow) => return Err(inexact()),
                Err(_) => return Err(wrong()),
            }
        };
        let pico = number.checked_mul(Decimal::from(PICO_PER_DOLLAR)).ok_or_else(inexact)?;
        if !pico.fract().is_zero() {
            return Err(inexact());
        }
        pico.to_i64().map(Usd).ok_or_else(inexact)
    }
}

impl fmt::Display for Usd {
    /// The exact amount without trailing zeros and without a sign of currency: `0.005`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let pico = self.0.unsigned_abs();
        let per_dollar = PICO_PER_DOLLAR.unsigned_abs();
        let (dollars, rest) = (pico / per_dollar, pico % per_dollar);
        if rest == 0 {
            return write!(f, "{sign}{dollars}");
        }
        let digits = format!("{rest:012}");
        write!(f, "{sign}{dollars}.{}", digits.trim_end_matches('0'))
    }
}

impl Serialize for Usd {
    /// A JSON number with every digit. Works with `serde_json`'s text output only.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Usd {
    /// Reads the number's text, so that no digit is lost on the way.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get().parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_price_in_scientific_notation_is_read_exactly() {
        assert_eq!("2.5e-06".parse(), Ok(Usd::from_pico(2_500_000)));
        assert_eq!("1E+3".parse(), Ok(Usd::from_pico(1_000 * PICO_PER_DOLLAR)));
        assert_eq!("0.0000025".parse(), Ok(Usd::from_pico(2_500_000)));
    }

    #[test]
    fn what_cannot_be_kept_exactly_is_refused() {
        for text in ["0.0000000000001", "1e-13", "9300000", "1e400"] {
            assert!(text.parse::<Usd>().is_err(), "{text}");
        }
        for text in ["", "a", "\"1\"", "null", "1.2.3", "NaN"] {
            let refused = text.parse::<Usd>();
            assert_eq!(refused, Err(MoneyError::NotANumber(text.to_owned())));
        }
    }

    #[test]
    fn an_amount_prints_without_padding() {
        assert_eq!("0.00500".parse::<Usd>().unwrap().to_string(), "0.005");
        assert_eq!("-1.5".parse::<Usd>().unwrap().to_string(), "-1.5");
        assert_eq!("10".parse::<Usd>().unwrap().to_string(), "10");
    }

    #[test]
    fn a_sum_beyond_the_largest_amount_stops_there() {
        assert_eq!(Usd::from_pico(i64::MAX).plus(Usd::from_pico(1)).pico(), i64::MAX);
        assert_eq!(Usd::from_pico(2).times(u64::MAX).pico(), i64::MAX);
    }

    proptest! {
        #[test]
        fn text_and_amount_are_each_others_inverse(pico in any::<i64>()) {
            let amount = Usd::from_pico(pico);
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
        }

        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = text.parse::<Usd>();
        }
    }
}
