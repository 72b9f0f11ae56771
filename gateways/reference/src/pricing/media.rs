//! What images and audio cost: by the image, the character or the second where they are
//! priced so, else by tokens. What an answer does not tell is charged as it was held.

use serde_json::Value;

use super::price::{IMAGES, Price};
use crate::money::Usd;
use crate::rates::{Context, Item, Service};
use crate::usage::Usage;

/// No image of the models that are known takes more tokens.
const TOKENS_OF_IMAGE: u64 = 8_192;
/// Nor does a second of audio, which goes in or comes out.
const TOKENS_OF_SECOND: u64 = 32;
/// Nor a second of speech, as text.
const WORDS_OF_SECOND: u64 = 8;

/// What a request for images or audio asks for, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Images { count: u64, quality: Option<Quality> },
    Speech { characters: u64, seconds: u64 },
    Transcription { seconds: u64 },
}

/// The quality of an image that has a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    Low,
    Medium,
    High,
}

impl Media {
    /// The most tokens that it can take, with so many of text.
    pub(super) fn tokens(self, text: u64) -> u64 {
        let more = match self {
            Media::Images { count, .. } => count.saturating_mul(TOKENS_OF_IMAGE),
            Media::Speech { seconds, .. } => seconds.saturating_mul(TOKENS_OF_SECOND),
            Media::Transcription { seconds } => seconds.saturating_mul(TOKENS_OF_SECOND + WORDS_OF_SECOND),
        };
        text.saturating_add(more)
    }
}

impl Price {
    /// The most that it can cost, with so many tokens of text.
    pub(super) fn media_bound(&self, media: Media, text: u64, asked: Option<Service>) -> Usd {
        match media {
            Media::Images { count, quality } => {
                let tokens = self.bound(text, count.saturating_mul(TOKENS_OF_IMAGE), asked);
                tokens.max(self.image(quality).unwrap_or_default().times(count))
            }
            Media::Speech { characters, seconds } => match self.each(Item::Character) {
                Some(character) => character.times(characters),
                None => self
                    .bound(text, seconds.saturating_mul(TOKENS_OF_SECOND), asked)
                    .plus(self.each(Item::OutputSecond).unwrap_or_default().times(seconds)),
            },
            Media::Transcription { seconds } => match self.each(Item::InputSecond) {
                Some(second) => second.times(seconds),
                None => {
                    let heard = seconds.saturating_mul(TOKENS_OF_SECOND).saturating_add(text);
                    self.bound(heard, seconds.saturating_mul(WORDS_OF_SECOND), asked)
                }
            },
        }
    }

    /// What the answer shows that it cost; `None` where it does not.
    pub(super) fn media_cost(&self, media: Media, answer: Option<&Value>, asked: Option<Service>) -> Option<Usd> {
        let tokens = || Some(self.cost(&tokens(media, answer?)?, asked));
        match media {
            Media::Images { quality, .. } => {
                let by_token = if self.each(Item::OutputImage).is_some() { tokens() } else { None };
                by_token.or_else(|| Some(self.image(quality)?.times(images(answer?)?)))
            }
            Media::Speech { characters, .. } => Some(self.each(Item::Character)?.times(characters)),
            Media::Transcription { .. } => match self.each(Item::InputSecond) {
                Some(second) => Some(second.times(seconds(answer?)?)),
                None => tokens(),
            },
        }
    }

    /// The price of an image. Where sizes or finishes have prices of their own, or the request
    /// leaves the quality open, it is the dearest.
    fn image(&self, quality: Option<Quality>) -> Option<Usd> {
        let own = match quality {
            Some(Quality::Low) => self.each(Item::ImageLow),
            Some(Quality::Medium) => self.each(Item::ImageMedium),
            Some(Quality::High) => self.each(Item::ImageHigh),
            None => None,
        };
        let dearest = || self.rates.dearest(&IMAGES, Context::Any, &[Service::Standard]);
        own.filter(|_| self.each(Item::ImageOther).is_none()).or_else(dearest)
    }

    fn each(&self, item: Item) -> Option<Usd> {
        self.rates.get(item, Context::Any, Service::Standard)
    }
}

/// The tokens that an answer tells. All that come out of a model of images are images, unless
/// it says otherwise.
pub(super) fn tokens(media: Media, answer: &Value) -> Option<Usage> {
    let usage = Usage::of_body(answer)?;
    answer.pointer("/usage/output_tokens").or_else(|| answer.pointer("/usage/completion_tokens"))?;
    let is_told = answer.pointer("/usage/output_tokens_details").is_some();
    let is_image = matches!(media, Media::Images { .. }) && !is_told;
    Some(if is_image { Usage { output_image: usage.output, ..usage } } else { usage })
}

fn images(answer: &Value) -> Option<u64> {
    u64::try_from(answer.get("data")?.as_array()?.len()).ok()
}

/// Whole seconds, the begun one with them.
fn seconds(answer: &Value) -> Option<u64> {
    let told = answer.pointer("/usage/seconds").or_else(|| answer.get("duration"))?;
    let text = told.as_number()?.to_string();
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let begun = u64::from(rest.bytes().any(|digit| digit != b'0'));
    whole.parse::<u64>().ok().filter(|_| !rest.contains(['e', 'E'])).map(|whole| whole.saturating_add(begun))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::rates::Rates;
    use serde_json::json;

    fn price(patch: &str) -> Price {
        Price { rates: Arc::new(Rates::from_json(patch).unwrap()) }
    }

    fn cost(patch: &str, media: Media, answer: &Value) -> Option<String> {
        price(patch).media_cost(media, Some(answer), None).map(|cost| cost.to_string())
    }

    #[test]
    fn images_cost_by_how_many_came() {
        let two = json!({"data": [{}, {}]});
        let media = Media::Images { count: 3, quality: None };
        assert_eq!(cost(r#"{"output_cost_per_image": 0.04}"#, media, &two).as_deref(), Some("0.08"));
        assert_eq!(cost(r#"{"output_cost_per_image": 0.04}"#, media, &json!({})), None);
        let qualities = r#"{"output_cost_per_image_low_quality": 1, "output_cost_per_image_high_quality": 4}"#;
        let low = Media::Images { count: 2, quality: Some(Quality::Low) };
        assert_eq!(cost(qualities, low, &two).as_deref(), Some("2"));
        assert_eq!(cost(qualities, media, &two).as_deref(), Some("8"), "the dearest where it is open");
    }

    #[test]
    fn images_cost_their_tokens_where_those_are_priced_and_told() {
        let patch = r#"{"input_cost_per_token": 1, "output_cost_per_image_token": 10, "output_cost_per_image": 999}"#;
        let media = Media::Images { count: 1, quality: None };
        let told = json!({"data": [{}], "usage": {"input_tokens": 5, "output_tokens": 7}});
        assert_eq!(cost(patch, media, &told).as_deref(), Some("75"));
        assert_eq!(cost(patch, media, &json!({"data": [{}]})).as_deref(), Some("999"));
    }

    #[test]
    fn speech_costs_its_characters_and_else_what_was_held() {
        let media = Media::Speech { characters: 4, seconds: 1 };
        let price = price(r#"{"input_cost_per_character": 0.000015}"#);
        assert_eq!(price.media_cost(media, None, None), Some("0.00006".parse().unwrap()));
        assert_eq!(price.media_bound(media, 4, None), "0.00006".parse().unwrap());
        let by_token = self::price(r#"{"input_cost_per_token": 1, "output_cost_per_audio_token": 2}"#);
        assert_eq!(by_token.media_cost(media, None, None), None);
        assert_eq!(by_token.media_bound(media, 4, None).to_string(), "68");
    }

    #[test]
    fn a_transcription_costs_the_seconds_that_it_tells_and_the_begun_one() {
        let media = Media::Transcription { seconds: 100 };
        let patch = r#"{"input_cost_per_second": 2}"#;
        for (answer, expected) in [
            (json!({"usage": {"type": "duration", "seconds": 9}}), Some("18")),
            (json!({"duration": 8.47}), Some("18")),
            (json!({"duration": 8.0}), Some("16")),
            (json!({"text": "nothing"}), None),
            (json!({"duration": 1e300}), None),
        ] {
            assert_eq!(cost(patch, media, &answer).as_deref(), expected, "{answer}");
        }
        let by_token = r#"{"input_cost_per_audio_token": 6, "input_cost_per_token": 2, "output_cost_per_token": 10}"#;
        let told = json!({"usage": {"type": "tokens", "input_tokens": 10, "output_tokens": 3,
            "input_token_details": {"audio_tokens": 8, "text_tokens": 2}}});
        assert_eq!(cost(by_token, media, &told).as_deref(), Some("82"));
    }
}
