//! Prices as sheets and overrides state them: a figure for each thing that is priced.
//!
//! A name says three things: what is priced, from which length of the prompt on
//! (`_above_200k_tokens`), and for which service (`_priority`, `_flex`, `_batches`, `_fast`).

use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::money::{MoneyError, Usd};

/// What is priced, in the unit of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Item {
    /// A token of input, where nothing more special is priced.
    Input,
    /// A token of output, likewise.
    Output,
    /// A token read from a cache.
    CacheRead,
    /// A token written to a cache for five minutes.
    CacheWrite,
    /// A token written to a cache for an hour.
    CacheWriteHour,
    /// A token of reasoning.
    Reasoning,
    /// A token of audio that goes in.
    InputAudio,
    /// A token of audio that comes out.
    OutputAudio,
    /// A token of an image that goes in.
    InputImage,
    /// A token of an image that comes out.
    OutputImage,
    /// A character of text to be spoken.
    Character,
    /// A second of audio that goes in.
    InputSecond,
    /// A second of audio that comes out.
    OutputSecond,
    /// An image that comes out, where its quality has no price of its own.
    Image,
    ImageLow,
    ImageMedium,
    ImageHigh,
    /// The dearest of the prices that a sheet has for sizes and finishes of an image.
    ImageOther,
    /// A search of the web, where what the model reads of it has no price of its own.
    Search,
    SearchLow,
    SearchMedium,
    SearchHigh,
    /// A session in which code runs.
    CodeSession,
}

impl Item {
    /// What it is a part of: without a price of its own it costs as much.
    fn whole(self) -> Option<Item> {
        match self {
            Item::CacheRead | Item::CacheWrite | Item::InputAudio | Item::InputImage => Some(Item::Input),
            Item::CacheWriteHour => Some(Item::CacheWrite),
            Item::Reasoning | Item::OutputAudio | Item::OutputImage => Some(Item::Output),
            Item::SearchLow | Item::SearchMedium | Item::SearchHigh => Some(Item::Search),
            _ => None,
        }
    }
}

/// A search's price: a figure, or an object with one for each size.
const SEARCH: &str = "search_context_cost_per_query";
const NAMES: [(&str, Item); 24] = [
    ("input_cost_per_token", Item::Input),
    ("output_cost_per_token", Item::Output),
    ("cache_read_input_token_cost", Item::CacheRead),
    ("cache_creation_input_token_cost", Item::CacheWrite),
    ("cache_creation_input_token_cost_above_1hr", Item::CacheWriteHour),
    ("output_cost_per_reasoning_token", Item::Reasoning),
    ("input_cost_per_audio_token", Item::InputAudio),
    ("output_cost_per_audio_token", Item::OutputAudio),
    ("input_cost_per_image_token", Item::InputImage),
    ("output_cost_per_image_token", Item::OutputImage),
    ("input_cost_per_character", Item::Character),
    ("input_cost_per_audio_per_second", Item::InputSecond),
    ("input_cost_per_second", Item::InputSecond),
    ("output_cost_per_second", Item::OutputSecond),
    ("output_cost_per_image", Item::Image),
    ("output_cost_per_image_low_quality", Item::ImageLow),
    ("output_cost_per_image_medium_quality", Item::ImageMedium),
    ("output_cost_per_image_high_quality", Item::ImageHigh),
    ("output_cost_per_image_auto_quality", Item::ImageOther),
    (SEARCH, Item::Search),
    ("search_context_size_low", Item::SearchLow),
    ("search_context_size_medium", Item::SearchMedium),
    ("search_context_size_high", Item::SearchHigh),
    ("code_interpreter_cost_per_session", Item::CodeSession),
];

/// From how many input tokens on a price holds, for the whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Context {
    Any,
    Above128k,
    Above200k,
    Above272k,
}

impl Context {
    const ALL: [(Context, &str, u64); 4] = [
        (Context::Above272k, "_above_272k_tokens", 272_000),
        (Context::Above200k, "_above_200k_tokens", 200_000),
        (Context::Above128k, "_above_128k_tokens", 128_000),
        (Context::Any, "", 0),
    ];

    /// The one for so many input tokens.
    pub(crate) fn of(input: u64) -> Context {
        let above = Context::ALL.into_iter().find(|(_, _, tokens)| input > *tokens);
        above.map_or(Context::Any, |(context, ..)| context)
    }
}

/// Which service a provider gave, in the words of `service_tier` and `speed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Service {
    Standard,
    Batch,
    Flex,
    Priority,
    Fast,
}

impl Service {
    const SUFFIXES: [(Service, &str); 4] = [
        (Service::Batch, "_batches"),
        (Service::Flex, "_flex"),
        (Service::Priority, "_priority"),
        (Service::Fast, "_fast"),
    ];

    /// The service that a word means; `None` for one that leaves it open, like `auto`.
    pub(crate) fn from_word(word: &str) -> Option<Service> {
        match word {
            "default" | "standard" | "standard_only" => Some(Service::Standard),
            "batch" => Some(Service::Batch),
            "flex" => Some(Service::Flex),
            "priority" => Some(Service::Priority),
            "fast" => Some(Service::Fast),
            _ => None,
        }
    }
}

/// What one figure is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Rate {
    item: Item,
    context: Context,
    service: Service,
}

impl Rate {
    /// Reads a name of a price sheet; `None` for what this gateway does not price.
    fn from_name(name: &str) -> Option<Rate> {
        let mut rest = name;
        let mut context = Context::Any;
        let mut service = Service::Standard;
        // Both orders are written: `_flex_above_272k_tokens`, `_above_272k_tokens_priority`.
        loop {
            let known = Context::ALL.iter().find_map(|(known, suffix, _)| {
                let before = rest.strip_suffix(suffix).filter(|_| !suffix.is_empty())?;
                Some((before, *known))
            });
            let told = Service::SUFFIXES.iter().find_map(|(known, suffix)| Some((rest.strip_suffix(suffix)?, *known)));
            match (known, told) {
                (Some((before, above)), _) if context == Context::Any => (rest, context) = (before, above),
                (_, Some((before, tier))) if service == Service::Standard => (rest, service) = (before, tier),
                (None, None) => break,
                _ => return None,
            }
        }
        let named = NAMES.iter().find(|(known, _)| *known == rest).map(|(_, item)| *item);
        let of_image = || rest.starts_with("output_cost_per_image_").then_some(Item::ImageOther);
        Some(Rate { item: named.or_else(of_image)?, context, service })
    }
}

/// The figures that a sheet's entry or an override states, in dollars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates(Vec<(Rate, Usd)>);

/// Why something is no price.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum RateError {
    /// It is no object of prices.
    #[error("is no object of prices: {0}")]
    Shape(String),
    /// A price in it cannot be charged by.
    #[error("{name}: {problem}")]
    Price {
        /// The price's name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Rates {
    /// Reads an override's patch: an object in which every name must be known.
    pub(crate) fn from_json(text: &str) -> Result<Rates, RateError> {
        let fields: IndexMap<String, Box<RawValue>> =
            serde_json::from_str(text).map_err(|error| RateError::Shape(error.to_string()))?;
        let mut rates = Rates::default();
        // Null is the same as nothing, as clients mean it.
        for (name, figure) in fields.iter().filter(|(_, figure)| figure.get() != "null") {
            rates.add(name, figure)?;
        }
        Ok(rates)
    }

    /// Adds a price by its name. Of two for the same, the dearer counts.
    pub(crate) fn add(&mut self, name: &str, figure: &RawValue) -> Result<(), RateError> {
        let wrong = |problem: String| RateError::Price { name: name.to_owned(), problem };
        let unknown = || wrong("is not a price that the reference gateway charges by".to_owned());
        let rate = Rate::from_name(name).ok_or_else(unknown)?;
        if name == SEARCH && figure.get().starts_with('{') {
            let sizes: IndexMap<String, Box<RawValue>> =
                serde_json::from_str(figure.get()).map_err(|error| wrong(error.to_string()))?;
            return sizes.iter().try_for_each(|(size, figure)| match size.starts_with("search_context_size_") {
                true => self.add(size, figure),
                false => Err(wrong(format!("`{size}` is no size of a search"))),
            });
        }
        let price: Usd = figure.get().parse().map_err(|error: MoneyError| wrong(error.to_string()))?;
        // With it, a request could give money back.
        if price < Usd::ZERO {
            return Err(wrong("a price cannot be below 0".to_owned()));
        }
        match self.0.iter_mut().find(|(known, _)| *known == rate) {
            Some((_, known)) => *known = price.max(*known),
            None => self.0.push((rate, price)),
        }
        Ok(())
    }

    /// Whether `name` is a price, also one that this gateway does not charge by.
    pub(crate) fn knows(name: &str) -> bool {
        Rate::from_name(name).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These prices, and those of `other` where there is none.
    pub(crate) fn or(&self, other: &Rates) -> Rates {
        let mut rates = self.0.clone();
        rates.extend(other.0.iter().filter(|(rate, _)| self.exact(*rate).is_none()));
        Rates(rates)
    }

    /// The price in force for an item, its own or that of its whole.
    pub(crate) fn get(&self, item: Item, context: Context, service: Service) -> Option<Usd> {
        let own = self.own(item, context, service);
        own.or_else(|| self.get(item.whole()?, context, service))
    }

    /// The dearest of a list of items at any context up to this one and any of the services, of
    /// which the standard one is one.
    pub(crate) fn dearest(&self, items: &[Item], most: Context, services: &[Service]) -> Option<Usd> {
        // What no figure is for costs what is asked for beside it: a shorter context, the standard service.
        let has_context = |context| self.0.iter().any(|(rate, _)| rate.context == context);
        let has_service = |service| self.0.iter().any(|(rate, _)| rate.service == service);
        let contexts = Context::ALL.iter().map(|(context, ..)| *context).filter(|context| *context <= most);
        let mut dearest = None;
        for context in contexts.filter(|context| *context == Context::Any || has_context(*context)) {
            for service in services.iter().filter(|service| **service == Service::Standard || has_service(**service)) {
                dearest = dearest.max(items.iter().filter_map(|item| self.get(*item, context, *service)).max());
            }
        }
        dearest
    }

    fn own(&self, item: Item, context: Context, service: Service) -> Option<Usd> {
        let of = |service: Service| {
            let upto = Context::ALL.iter().map(|(known, ..)| *known).filter(|known| *known <= context);
            upto.into_iter().find_map(|context| self.exact(Rate { item, context, service }))
        };
        let standard = of(Service::Standard);
        match service {
            Service::Standard => standard,
            // A discount is for prompts of any length, unless the sheet says otherwise.
            Service::Batch | Service::Flex => of(service).or(standard),
            // Where the sheet does not say what both together cost, the dearer counts.
            Service::Priority | Service::Fast => of(service).max(standard),
        }
    }

    fn exact(&self, rate: Rate) -> Option<Usd> {
        self.0.iter().find(|(known, _)| *known == rate).map(|(_, price)| *price)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn rates(text: &str) -> Rates {
        Rates::from_json(text).unwrap()
    }

    fn get(rates: &Rates, item: Item, input: u64, service: Service) -> Option<String> {
        rates.get(item, Context::of(input), service).map(|price| price.to_string())
    }

    #[test]
    fn a_price_holds_above_its_length_and_not_at_it() {
        let rates = rates(r#"{"input_cost_per_token": 1, "input_cost_per_token_above_200k_tokens": 2}"#);
        for (input, price) in [(0, "1"), (200_000, "1"), (200_001, "2"), (300_000, "2")] {
            assert_eq!(get(&rates, Item::Input, input, Service::Standard).as_deref(), Some(price), "{input}");
        }
    }

    #[test]
    fn both_orders_of_length_and_service_are_read() {
        let rates = rates(
            r#"{"input_cost_per_token": 1, "input_cost_per_token_flex_above_272k_tokens": 2,
                "input_cost_per_token_above_272k_tokens_priority": 9}"#,
        );
        assert_eq!(get(&rates, Item::Input, 272_001, Service::Flex).as_deref(), Some("2"));
        assert_eq!(get(&rates, Item::Input, 272_001, Service::Priority).as_deref(), Some("9"));
        assert_eq!(get(&rates, Item::Input, 1, Service::Priority).as_deref(), Some("1"));
    }

    #[test]
    fn a_discount_is_flat_and_of_two_surcharges_the_dearer_counts() {
        let rates = rates(
            r#"{"input_cost_per_token": 4, "input_cost_per_token_above_200k_tokens": 8, "input_cost_per_token_flex": 2,
                "input_cost_per_token_priority": 6}"#,
        );
        assert_eq!(get(&rates, Item::Input, 300_000, Service::Flex).as_deref(), Some("2"));
        assert_eq!(get(&rates, Item::Input, 300_000, Service::Priority).as_deref(), Some("8"));
        assert_eq!(get(&rates, Item::Input, 1, Service::Priority).as_deref(), Some("6"));
    }

    #[test]
    fn a_part_without_a_price_costs_what_its_whole_costs() {
        let rates = rates(r#"{"input_cost_per_token": 4, "cache_creation_input_token_cost": 5}"#);
        assert_eq!(get(&rates, Item::CacheRead, 1, Service::Standard).as_deref(), Some("4"));
        assert_eq!(get(&rates, Item::CacheWriteHour, 1, Service::Standard).as_deref(), Some("5"));
        assert_eq!(get(&rates, Item::Reasoning, 1, Service::Standard), None);
    }

    #[test]
    fn of_an_images_sizes_and_finishes_the_dearest_is_kept() {
        let rates = rates(
            r#"{"output_cost_per_image_above_512_and_512_pixels": 1, "output_cost_per_image_premium_image": 3,
                "output_cost_per_image_above_1024_and_1024_pixels": 2}"#,
        );
        assert_eq!(get(&rates, Item::ImageOther, 1, Service::Standard).as_deref(), Some("3"));
    }

    #[test]
    fn what_is_no_price_is_refused_by_name() {
        for (patch, told) in [
            (r#"{"input_cost_per_tokn": 1}"#, "input_cost_per_tokn"),
            (r#"{"input_cost_per_token": -1}"#, "input_cost_per_token: a price cannot be below 0"),
            (r#"{"input_cost_per_token": "1"}"#, "input_cost_per_token"),
            (r#"{"output_cost_per_token": 1e-14}"#, "output_cost_per_token"),
            (r#"{"search_context_cost_per_query": {"input_cost_per_token": 1}}"#, "no size of a search"),
            (r#"{"search_context_cost_per_query": {"search_context_size_huge": 1}}"#, "search_context_size_huge"),
            (r#"{"input_cost_per_token_flex_priority": 1}"#, "input_cost_per_token_flex_priority"),
        ] {
            let error = Rates::from_json(patch).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
