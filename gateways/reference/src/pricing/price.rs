//! From a price and a usage to a cost, and to the most that it can be.

use std::sync::Arc;

use crate::config::RequestType;
use crate::money::Usd;
use crate::rates::{Context, Item, Rates, Service};
use crate::usage::Usage;

/// Everything that an image can be priced as.
pub(super) const IMAGES: [Item; 5] =
    [Item::Image, Item::ImageLow, Item::ImageMedium, Item::ImageHigh, Item::ImageOther];
/// Everything that a token of input can turn out to be.
const INPUTS: [Item; 6] =
    [Item::Input, Item::CacheRead, Item::CacheWrite, Item::CacheWriteHour, Item::InputAudio, Item::InputImage];
/// Everything that a token of output can turn out to be.
const OUTPUTS: [Item; 4] = [Item::Output, Item::Reasoning, Item::OutputAudio, Item::OutputImage];

/// The prices of one model for one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Price {
    pub(super) rates: Arc<Rates>,
}

impl Price {
    /// The price of a request of this kind, if these prices are enough for one. Half a
    /// price is none; embeddings have no output, and need no price for it.
    pub(super) fn of(rates: Arc<Rates>, kind: RequestType) -> Option<Price> {
        let has = |item| rates.get(item, Context::Any, Service::Standard).is_some();
        let has_both = has(Item::Input) && has(Item::Output);
        let is_whole = match kind {
            RequestType::Embedding => has(Item::Input),
            RequestType::ChatCompletion | RequestType::TextCompletion | RequestType::Responses => has_both,
            RequestType::ImageGeneration => IMAGES.into_iter().chain([Item::OutputImage]).any(has),
            RequestType::Speech => [Item::Character, Item::OutputSecond, Item::OutputAudio].into_iter().any(has),
            RequestType::Transcription => has(Item::InputSecond) || has(Item::InputAudio) && has(Item::Output),
        };
        is_whole.then_some(Price { rates })
    }

    /// What the tokens cost. `asked` is the service that the request asks for: a surcharge
    /// counts also where the answer does not confirm it, a discount only if it does.
    pub(crate) fn cost(&self, usage: &Usage, asked: Option<Service>) -> Usd {
        let dear = asked.filter(|service| matches!(service, Service::Priority | Service::Fast));
        let service = usage.service.or(dear).unwrap_or(Service::Standard);
        let context = Context::of(usage.input);
        let priced = |item| self.rates.get(item, context, service).unwrap_or_default();
        let cached = usage.cached.min(usage.input);
        let cache_write = usage.cache_write.min(usage.input - cached);
        let hour = usage.cache_write_hour.min(cache_write);
        let special_input = usage.input_audio.saturating_add(usage.input_image);
        let special_output = usage.reasoning.saturating_add(usage.output_audio).saturating_add(usage.output_image);
        [
            priced(Item::CacheRead).times(cached),
            priced(Item::CacheWrite).times(cache_write - hour),
            priced(Item::CacheWriteHour).times(hour),
            // Nobody says how much of the audio and the images was cached.
            dearest_first(
                usage.input - cached - cache_write,
                [
                    (priced(Item::InputAudio), usage.input_audio),
                    (priced(Item::InputImage), usage.input_image),
                    (priced(Item::Input), usage.input.saturating_sub(special_input)),
                ],
            ),
            dearest_first(
                usage.output,
                [
                    (priced(Item::Reasoning), usage.reasoning),
                    (priced(Item::OutputAudio), usage.output_audio),
                    (priced(Item::OutputImage), usage.output_image),
                    (priced(Item::Output), usage.output.saturating_sub(special_output)),
                ],
            ),
        ]
        .into_iter()
        .fold(Usd::ZERO, Usd::plus)
    }

    /// The most that so many tokens can cost, of whatever kind they turn out to be, for
    /// whatever service a request that asks so can get.
    pub(crate) fn bound(&self, input: u64, output: u64, asked: Option<Service>) -> Usd {
        let services: &[Service] = match asked {
            Some(Service::Standard | Service::Batch | Service::Flex) => {
                &[Service::Standard, Service::Batch, Service::Flex]
            }
            Some(Service::Priority) | None => &[Service::Standard, Service::Batch, Service::Flex, Service::Priority],
            Some(Service::Fast) => {
                &[Service::Standard, Service::Batch, Service::Flex, Service::Priority, Service::Fast]
            }
        };
        let most = Context::of(input);
        let dearest = |items: &[Item]| self.rates.dearest(items, most, services).unwrap_or_default();
        dearest(&INPUTS).times(input).plus(dearest(&OUTPUTS).times(output))
    }
}

/// What `total` tokens cost that are among these parts, taken from the dearest on.
fn dearest_first<const PARTS: usize>(total: u64, mut parts: [(Usd, u64); PARTS]) -> Usd {
    parts.sort_by_key(|(price, _)| std::cmp::Reverse(*price));
    let mut left = total;
    let mut sum = Usd::ZERO;
    for (price, count) in parts {
        let taken = count.min(left);
        left -= taken;
        sum = sum.plus(price.times(taken));
    }
    sum
}

#[cfg(test)]
#[path = "price_tests.rs"]
mod tests;
