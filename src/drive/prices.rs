//! The prices that a gateway is told: those that the upstream charges.

use mock_upstream::{Model, Script};

use crate::gateway::render::Price as SheetPrice;

/// The price of every model that has one, as a price sheet gives it.
#[must_use]
pub fn sheet(script: &Script) -> Vec<SheetPrice> {
    script.models.iter().filter_map(|(name, model)| sheet_price(name, model)).collect()
}

fn sheet_price(name: &str, model: &Model) -> Option<SheetPrice> {
    let million = rust_decimal::Decimal::from(1_000_000);
    let per_token = |usd: mock_upstream::Usd| (usd.decimal() / million).normalize().to_string();
    let price = model.price.as_ref()?;
    Some(SheetPrice { model: name.to_owned(), input: per_token(price.input), output: per_token(price.output) })
}
