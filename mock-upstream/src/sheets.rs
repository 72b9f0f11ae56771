//! What gateways fetch for themselves at their start: price sheets and model parameters, in
//! their own formats, from the script's prices.

use rust_decimal::Decimal;
use serde_json::{Map, Number, Value, json};

use crate::price::per_token;
use crate::script::{Model, Price, Script};
use crate::usd::Usd;

/// Bifrost's price sheet: one row for each provider, model and mode. A row's key is free but
/// for what follows its first `/`, which is the model. Bifrost has no price for reasoning.
/// A model without a price is not in it.
pub fn price_sheet_bifrost(script: &Script) -> Value {
    let mut sheet = Map::new();
    for (provider, name, model, price) in priced(script) {
        // Responses are priced as chat; the other modes have rows of their own.
        for mode in ["chat", "completion", "embedding"] {
            let key = match mode {
                "chat" => format!("{provider}/{name}"),
                _ => format!("{provider}:{mode}/{name}"),
            };
            let mut row = Map::new();
            row.insert("provider".into(), json!(provider));
            row.insert("mode".into(), json!(mode));
            row.insert("base_model".into(), json!(name));
            insert_prices(&mut row, price);
            insert_limits(&mut row, model);
            sheet.insert(key, row.into());
        }
    }
    sheet.into()
}

/// LiteLLM's price sheet: one row for each model, which it reaches as OpenAI's, and one under
/// `provider/model` for each provider. A model without a price is not in it.
pub fn price_sheet_litellm(script: &Script) -> Value {
    let mut sheet = Map::new();
    for (provider, name, model, price) in priced(script) {
        for key in [name.to_owned(), format!("{provider}/{name}")] {
            let mut row = Map::new();
            row.insert("litellm_provider".into(), json!("openai"));
            row.insert("mode".into(), json!("chat"));
            insert_prices(&mut row, price);
            if let Some(reasoning) = price.reasoning {
                row.insert("output_cost_per_reasoning_token".into(), number(reasoning));
            }
            insert_limits(&mut row, model);
            sheet.insert(key, row.into());
        }
    }
    sheet.into()
}

/// Bifrost's model parameters: one object for each model, priced or not.
pub fn model_parameters_bifrost(script: &Script) -> Value {
    let row = |(name, model): (&String, &Model)| {
        let served = |provider: &&str| script.model_of(&script.providers[*provider], name).is_some();
        let mut row = Map::new();
        if let Some(provider) = script.providers.keys().map(String::as_str).find(served) {
            row.insert("provider".into(), json!(provider));
        }
        row.insert("mode".into(), json!("chat"));
        row.insert("base_model".into(), json!(name));
        insert_limits(&mut row, model);
        (name.clone(), row.into())
    };
    Value::Object(script.models.iter().map(row).collect())
}

fn priced(script: &Script) -> impl Iterator<Item = (&str, &str, &Model, &Price)> {
    script.providers.iter().flat_map(|(provider, served)| {
        script
            .models_of(served)
            .filter_map(move |(name, model)| Some((provider.as_str(), name, model, model.price.as_ref()?)))
    })
}

fn insert_prices(row: &mut Map<String, Value>, price: &Price) {
    row.insert("input_cost_per_token".into(), number(price.input));
    row.insert("output_cost_per_token".into(), number(price.output));
    for (name, part) in
        [("cache_read_input_token_cost", price.cached), ("cache_creation_input_token_cost", price.cache_write)]
    {
        // Absent, it would cost a gateway nothing, or the whole's price, as each sees fit.
        row.insert(name.into(), number(part.unwrap_or(price.input)));
    }
    if let Some(hour) = price.cache_write_hour {
        row.insert("cache_creation_input_token_cost_above_1hr".into(), number(hour));
    }
    if let Some(million) = price.character {
        row.insert("input_cost_per_character".into(), number(million));
    }
    for (name, each) in [
        ("output_cost_per_image", price.image),
        ("input_cost_per_second", price.second),
        ("search_context_cost_per_query", price.search),
    ] {
        if let Some(each) = each {
            row.insert(name.into(), exact(each.decimal()));
        }
    }
    let Some(long) = price.long else { return };
    let of_long = [
        ("input_cost_per_token", long.input),
        ("output_cost_per_token", long.output),
        ("cache_read_input_token_cost", long.cached.unwrap_or(long.input)),
    ];
    for (name, part) in of_long {
        row.insert(format!("{name}_above_{}k_tokens", long.above / 1000), number(part));
    }
}

fn insert_limits(row: &mut Map<String, Value>, model: &Model) {
    if let Some(most) = model.max_output_tokens {
        row.insert("max_output_tokens".into(), json!(most));
    }
}

/// The price of one token as a JSON number: these formats have no other way to say it. The
/// digits are handed over as text, so that nothing is computed in floating point.
fn number(per_million: Usd) -> Value {
    exact(per_token(per_million))
}

fn exact(figure: Decimal) -> Value {
    figure.to_string().parse::<Number>().map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_model_without_a_price_is_in_no_price_sheet() {
        let mut script = Script::usual();
        script.models.insert("unpriced".into(), Model::default());
        for sheet in [price_sheet_bifrost(&script), price_sheet_litellm(&script)] {
            assert!(!sheet.to_string().contains("unpriced"), "{sheet}");
        }
        assert!(model_parameters_bifrost(&script).get("unpriced").is_some());
    }

    #[test]
    fn a_price_of_any_size_keeps_its_digits() {
        for (per_million, per_token) in [
            ("$2.50", "0.0000025"),
            ("$0.000000001", "0.000000000000001"),
            ("$1000000", "1"),
            ("$0.123456789", "0.000000123456789"),
        ] {
            let Ok(price) = per_million.parse() else { panic!("{per_million} is money") };
            let shown = number(price).as_f64();
            assert_eq!(shown, per_token.parse().ok(), "{per_million}");
        }
    }

    #[test]
    fn the_sheets_of_a_script_with_two_providers() {
        let mut script = Script::usual();
        script.providers.insert("secondary".into(), crate::Provider::default());
        if let Some(model) = script.models.get_mut("mock-1") {
            model.max_output_tokens = Some(16_384);
        }
        insta::assert_json_snapshot!("bifrost", price_sheet_bifrost(&script));
        insta::assert_json_snapshot!("litellm", price_sheet_litellm(&script));
        insta::assert_json_snapshot!("model_parameters", model_parameters_bifrost(&script));
    }
}
