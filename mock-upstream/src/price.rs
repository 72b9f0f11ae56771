//! What a call is charged: the truth of a run, in exact decimals.

use rust_decimal::Decimal;

use crate::script::{Price, Usage};
use crate::usd::Usd;

/// The charge for these tokens; without a price it is nothing.
pub(crate) fn charge(price: Option<&Price>, tokens: &Usage) -> Usd {
    let Some(price) = price else {
        return Usd::ZERO;
    };
    let price = price.of_prompt(tokens.input);
    let hour = tokens.cache_write_hour.min(tokens.cache_write);
    let write = price.cache_write.unwrap_or(price.input);
    let plain_input = tokens.input.saturating_sub(tokens.cached).saturating_sub(tokens.cache_write);
    let plain_output = tokens.output.saturating_sub(tokens.reasoning);
    [
        (plain_input, price.input),
        (tokens.cached, price.cached.unwrap_or(price.input)),
        (tokens.cache_write - hour, write),
        (hour, price.cache_write_hour.unwrap_or(write)),
        (plain_output, price.output),
        (tokens.reasoning, price.reasoning.unwrap_or(price.output)),
        (tokens.characters, price.character.unwrap_or_default()),
    ]
    .into_iter()
    .map(|(tokens, per_million)| Usd::from_decimal(per_token(per_million).saturating_mul(tokens.into())))
    .chain(
        [(tokens.images, price.image), (tokens.seconds, price.second), (tokens.searches, price.search)]
            .into_iter()
            .map(|(count, each)| Usd::from_decimal(each.unwrap_or_default().decimal().saturating_mul(count.into()))),
    )
    .sum()
}

/// A price per million tokens as the price of one. The point moves, no digit is lost:
/// `Script::validate` bounds the digits.
pub(crate) fn per_token(per_million: Usd) -> Decimal {
    per_million.decimal().saturating_mul(Decimal::new(1, 6)).normalize()
}

/// The tokens of an answer that broke off after `output` tokens: all input is spent, and
/// thinking comes before speaking.
pub(crate) fn produced(whole: &Usage, output: u64) -> Usage {
    Usage { output, reasoning: whole.reasoning.min(output), ..*whole }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::script::LongPrice;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn price(input: &str, output: &str) -> Price {
        Price { input: usd(input), output: usd(output), ..Price::default() }
    }

    #[test]
    fn the_usual_call_costs_an_eighth_of_a_cent() {
        let tokens = Usage { input: 100, output: 100, ..Usage::default() };
        assert_eq!(charge(Some(&price("$2.50", "$10.00")), &tokens), usd("$0.00125"));
    }

    #[test]
    fn seven_thousand_in_and_three_thousand_out_show_a_wrong_unit() {
        let tokens = Usage { input: 7000, output: 3000, ..Usage::default() };
        // 7000 × 2.5 + 3000 × 10 = 47,500 millionths
        assert_eq!(charge(Some(&price("$2.50", "$10.00")), &tokens), usd("$0.0475"));
    }

    #[test]
    fn each_part_has_its_own_price() {
        let tokens =
            Usage { input: 7000, output: 3000, cached: 4000, cache_write: 1000, reasoning: 500, ..Usage::default() };
        let price = Price {
            cached: Some(usd("$0.25")),
            cache_write: Some(usd("$3.125")),
            reasoning: Some(usd("$12")),
            ..price("$2.50", "$10.00")
        };
        // 2000 × 2.5 + 4000 × 0.25 + 1000 × 3.125 + 2500 × 10 + 500 × 12 = 40,125 millionths
        assert_eq!(charge(Some(&price), &tokens), usd("$0.040125"));
    }

    #[test]
    fn a_long_prompt_makes_the_whole_call_dearer_from_the_next_token_on() {
        let long = LongPrice { above: 128_000, input: usd("$5"), output: usd("$15"), cached: Some(usd("$0.50")) };
        let price = Price { long: Some(long), ..price("$2.50", "$10.00") };
        let tokens = Usage { input: 128_000, output: 1000, ..Usage::default() };
        // 128,000 × 2.5 + 1000 × 10 = 330,000 millionths
        assert_eq!(charge(Some(&price), &tokens), usd("$0.33"));
        let tokens = Usage { input: 128_001, cached: 28_001, ..tokens };
        // 100,000 × 5 + 28,001 × 0.5 + 1000 × 15 = 529,000.5 millionths
        assert_eq!(charge(Some(&price), &tokens), usd("$0.5290005"));
    }

    #[test]
    fn a_part_without_a_price_costs_what_its_whole_costs() {
        let plain = Usage { input: 7000, output: 3000, ..Usage::default() };
        let parted = Usage { cached: 4000, cache_write: 1000, reasoning: 500, ..plain };
        let price = price("$2.50", "$10.00");
        assert_eq!(charge(Some(&price), &parted), charge(Some(&price), &plain));
    }

    #[test]
    fn a_model_without_a_price_is_charged_nothing() {
        let tokens = Usage { input: 7000, output: 3000, ..Usage::default() };
        assert_eq!(charge(None, &tokens), Usd::ZERO);
    }

    #[test]
    fn the_smallest_price_of_one_token_is_exact() {
        let tokens = Usage { input: 1, ..Usage::default() };
        assert_eq!(charge(Some(&price("$0.000000001", "$0")), &tokens), usd("$0.000000000000001"));
    }

    #[test]
    fn what_breaks_off_has_spent_its_input_and_thought_first() {
        let whole = Usage { input: 7000, output: 3000, cached: 4000, reasoning: 500, ..Usage::default() };
        assert_eq!(produced(&whole, 0), Usage { output: 0, reasoning: 0, ..whole });
        assert_eq!(produced(&whole, 750), Usage { output: 750, ..whole });
        assert_eq!(produced(&whole, 3000), whole);
    }
}
