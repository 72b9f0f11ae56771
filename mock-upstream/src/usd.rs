//! Exact amounts of US dollars. No floating point comes near them.

use std::borrow::Cow;
use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::str::FromStr;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error as ThisError;

/// What a person should write instead of whatever was found.
const HOW: &str = "money is written as \"$0.005\"";

/// An amount of US dollars, exact, never negative. Written `$0.00125`: a dollar
/// sign, digits, no trailing zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(Decimal);

/// A text that is not an amount of US dollars.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{found}` is not an amount: {HOW}")]
pub struct ParseUsdError {
    found: String,
}

impl Usd {
    /// No money.
    pub const ZERO: Usd = Usd(Decimal::ZERO);

    /// The amount in dollars, normalised.
    pub fn decimal(&self) -> Decimal {
        self.0
    }

    /// So many dollars, normalised. Less than nothing is nothing.
    pub fn from_decimal(amount: Decimal) -> Usd {
        Usd(amount.max(Decimal::ZERO).normalize())
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("${}", self.0))
    }
}

impl FromStr for Usd {
    type Err = ParseUsdError;

    fn from_str(text: &str) -> Result<Usd, ParseUsdError> {
        let plain = text.strip_prefix('$').filter(|rest| {
            let (whole, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
            [whole, fraction].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        });
        plain
            .and_then(|digits| Decimal::from_str_exact(digits).ok())
            .map(Usd::from_decimal)
            .ok_or_else(|| ParseUsdError { found: text.to_owned() })
    }
}

impl Add for Usd {
    type Output = Usd;

    fn add(self, other: Usd) -> Usd {
        Usd::from_decimal(self.0.saturating_add(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(amounts: I) -> Usd {
        amounts.fold(Usd::ZERO, Add::add)
    }
}

impl<'a> Sum<&'a Usd> for Usd {
    fn sum<I: Iterator<Item = &'a Usd>>(amounts: I) -> Usd {
        amounts.copied().sum()
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
        deserializer.deserialize_any(UsdVisitor)
    }
}

struct UsdVisitor;

impl Visitor<'_> for UsdVisitor {
    type Value = Usd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HOW)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Usd, E> {
        text.parse().map_err(E::custom)
    }

    // A bare number would already have gone through a float: refuse it, and say why.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Usd, E> {
        Err(E::custom(format!("`{number}` is a bare number: {HOW}")))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Usd, E> {
        Err(E::custom(format!("`{number}` is a bare number: {HOW}")))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Usd, E> {
        Err(E::custom(format!("`{number}` is a bare number: {HOW}")))
    }
}

impl JsonSchema for Usd {
    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "US dollars, exact",
            "pattern": r"^\$[0-9]+(\.[0-9]+)?$",
            "examples": ["$0.005", "$2.50"],
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_amount_prints_without_padding() {
        for (written, printed) in
            [("$2.50", "$2.5"), ("$0.00125", "$0.00125"), ("$0.000", "$0"), ("$10", "$10"), ("$100.00", "$100")]
        {
            assert_eq!(written.parse::<Usd>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_is_not_written_as_money_is_refused() {
        for text in ["2.50", "$", "$-1", "$+1", "$1.", "$.5", "$1e3", "$1_0", "€1", " $1"] {
            let error = text.parse::<Usd>().unwrap_err().to_string();
            assert_eq!(error, format!("`{text}` is not an amount: money is written as \"$0.005\""));
        }
    }

    #[test]
    fn a_bare_number_is_refused_with_the_way_to_write_it() {
        for json in ["2.5", "2", "-2"] {
            let error = serde_json::from_str::<Usd>(json).unwrap_err().to_string();
            assert!(error.contains("is a bare number: money is written as \"$0.005\""), "{error}");
        }
    }

    #[test]
    fn less_than_nothing_is_nothing() {
        assert_eq!(Usd::from_decimal(Decimal::new(-1, 2)), Usd::ZERO);
    }

    proptest! {
        #[test]
        fn sums_are_exact_and_in_any_order(parts in prop::collection::vec(0u32.., 0..20)) {
            let amounts = |parts: &[u32]| -> Vec<Usd> {
                parts.iter().map(|part| Usd::from_decimal(Decimal::new((*part).into(), 15))).collect()
            };
            let total: i64 = parts.iter().map(|part| i64::from(*part)).sum();
            let mut turned = parts.clone();
            turned.reverse();
            prop_assert_eq!(amounts(&parts).iter().sum::<Usd>().decimal(), Decimal::new(total, 15));
            prop_assert_eq!(amounts(&turned).into_iter().sum::<Usd>(), amounts(&parts).iter().sum());
        }

        #[test]
        fn an_amount_survives_writing_and_reading(units in 0i64.., scale in 0u32..12) {
            let amount = Usd::from_decimal(Decimal::new(units, scale));
            prop_assert_eq!(amount.to_string().parse::<Usd>().unwrap(), amount);
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
        }
    }
}
