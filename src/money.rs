//! Exact money: US dollars as decimals, never floating point.

use std::{borrow::Cow, fmt, iter::Sum, ops, str::FromStr};

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An exact amount of US dollars, written `$0.005`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(Decimal);

/// Why a text is not an amount of money.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MoneyError {
    /// The dollar sign is missing: a bare number could be tokens or seconds.
    #[error("money is written with a dollar sign, as in \"$0.005\"; found \"{0}\"")]
    NoDollarSign(String),
    /// What follows the dollar sign is no plain decimal number.
    #[error("\"{0}\" is not an amount of money; write it as \"$0.005\"")]
    NotDecimal(String),
}

impl Usd {
    /// No money at all.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The amount that this decimal number of dollars is.
    #[must_use]
    pub fn new(dollars: Decimal) -> Self {
        Self(dollars.normalize())
    }

    /// The amount as a decimal number of dollars.
    #[must_use]
    pub fn dollars(self) -> Decimal {
        self.0
    }

    /// Reads a number that carries no dollar sign, as environment variables and gateways write it.
    ///
    /// # Errors
    /// When the text is no plain decimal number.
    pub fn from_plain(text: &str) -> Result<Self, MoneyError> {
        let number = text.strip_prefix('$').unwrap_or(text);
        Decimal::from_str_exact(number)
            .or_else(|_| Decimal::from_scientific(number))
            .map(Self::new)
            .map_err(|_| MoneyError::NotDecimal(text.to_owned()))
    }

    /// Reads a JSON number or string that a gateway gave for money.
    ///
    /// A JSON number is read by its shortest decimal form, which is exact for the up to 15
    /// significant digits that a double can carry.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Number(number) => Self::from_plain(&number.to_string()).ok(),
            serde_json::Value::String(text) => Self::from_plain(text).ok(),
            _ => None,
        }
    }

    /// The distance between two amounts.
    #[must_use]
    pub fn distance(self, other: Self) -> Self {
        Self::new((self.0 - other.0).abs())
    }
}

impl FromStr for Usd {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let number = text.strip_prefix('$').ok_or_else(|| MoneyError::NoDollarSign(text.to_owned()))?;
        Decimal::from_str_exact(number).map(Self::new).map_err(|_| MoneyError::NotDecimal(text.to_owned()))
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_sign_negative() { write!(f, "-${}", -self.0) } else { write!(f, "${}", self.0) }
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Usd;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of money such as \"$0.005\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Usd, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for Usd {
    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^-?\$[0-9]+(\.[0-9]+)?$",
            "description": "An exact amount of US dollars, such as $0.005",
        })
    }
}

impl ops::Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.0 + other.0)
    }
}

impl ops::Sub for Usd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::new(self.0 - other.0)
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, ops::Add::add)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bare_number_is_refused_with_the_way_to_write_it() {
        let error = "0.005".parse::<Usd>().unwrap_err().to_string();
        assert_eq!(error, "money is written with a dollar sign, as in \"$0.005\"; found \"0.005\"");
    }

    #[test]
    fn a_gateways_floating_point_figure_keeps_its_residue() {
        let figure = serde_json::json!(38.349_999_999_983_25);
        let read = Usd::from_json(&figure).unwrap();
        assert_ne!(read, "$38.35".parse().unwrap());
        assert!(read.distance("$38.35".parse().unwrap()) < "$0.000000001".parse().unwrap());
    }

    #[test]
    fn scientific_notation_is_read_exactly() {
        assert_eq!(Usd::from_plain("2.5e-6").unwrap().to_string(), "$0.0000025");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(nanos in 0_i64..1_000_000_000_000_000) {
            let amount = Usd::new(Decimal::new(nanos, 9));
            prop_assert_eq!(amount.to_string().parse::<Usd>().unwrap(), amount);
        }

        #[test]
        fn a_sum_does_not_depend_on_order(mut nanos in prop::collection::vec(0_i64..1_000_000_000, 0..50)) {
            let total = |n: &[i64]| n.iter().map(|n| Usd::new(Decimal::new(*n, 9))).sum::<Usd>();
            let forwards = total(&nanos);
            nanos.reverse();
            prop_assert_eq!(forwards, total(&nanos));
        }
    }
}
