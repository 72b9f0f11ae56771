//! A meter: one budget, one request limit or one token limit, with what was used
//! in its window and what is held for requests that are still on their way.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::clock::Moment;
use crate::money::Usd;
use crate::window::Window;

/// A quantity in its meter's own unit: pico-dollars, requests or tokens.
///
/// A single figure fits 64 bits. Twice as many hold the sum of more requests than can be on
/// their way at once, each at its largest, so that what is added can be taken away again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount(i128);

impl Amount {
    pub(crate) const ZERO: Amount = Amount(0);

    pub(crate) fn from_raw(raw: i64) -> Amount {
        Amount(raw.into())
    }

    /// The quantity in 64 bits; a larger sum is the largest of them.
    pub(crate) fn raw(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    pub(crate) fn of_money(usd: Usd) -> Amount {
        Amount(usd.pico().into())
    }

    pub(crate) fn of_count(count: u64) -> Amount {
        Amount(count.into())
    }

    pub(crate) fn plus(self, other: Amount) -> Amount {
        Amount(self.0.saturating_add(other.0))
    }

    /// The difference, and never less than nothing.
    pub(crate) fn minus(self, other: Amount) -> Amount {
        Amount(self.0.saturating_sub(other.0).max(0))
    }
}

/// What a meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Measure {
    Usd,
    Requests,
    Tokens,
}

impl Measure {
    /// The word in meter ids and in the database.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Measure::Usd => "budget",
            Measure::Requests => "requests",
            Measure::Tokens => "tokens",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Measure> {
        [Measure::Usd, Measure::Requests, Measure::Tokens].into_iter().find(|measure| measure.word() == word)
    }

    /// `amount` as a caller reads it: dollars for a budget, else a count.
    pub(crate) fn show(self, amount: Amount) -> String {
        match self {
            Measure::Usd => Usd::from_pico(amount.raw()).to_string(),
            Measure::Requests | Measure::Tokens => amount.raw().to_string(),
        }
    }
}

/// Identifies a meter: its measure and the id of its budget or rate limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MeterId(Arc<str>);

impl MeterId {
    pub(crate) fn new(measure: Measure, id: &str) -> MeterId {
        MeterId(format!("{}:{id}", measure.word()).into())
    }

    /// Reads what [`MeterId::as_str`] gave.
    pub(crate) fn parse(text: &str) -> Option<MeterId> {
        let (word, _) = text.split_once(':')?;
        Measure::from_word(word).map(|_| MeterId(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn measure(&self) -> Measure {
        let word = self.0.split(':').next().unwrap_or_default();
        // Both constructors check the word.
        Measure::from_word(word).unwrap_or(Measure::Usd)
    }

    /// The id of the budget or rate limit, without the measure.
    pub(crate) fn id(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, id)| id)
    }
}

impl Borrow<str> for MeterId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// At which level a meter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    Customer,
    Team,
    VirtualKey,
    /// A provider for one virtual key.
    VirtualKeyProvider,
    /// A model for one virtual key.
    VirtualKeyModel,
    /// A provider, for whoever asks.
    Provider,
    /// A model, for whoever asks.
    Model,
}

impl Level {
    /// The value of `scope` in a refusal.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Customer => "customer",
            Level::Team => "team",
            Level::VirtualKey => "virtual_key",
            Level::VirtualKeyProvider => "virtual_key_provider",
            Level::VirtualKeyModel => "virtual_key_model",
            Level::Provider => "provider",
            Level::Model => "model",
        }
    }
}

/// Whose meter it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) level: Level,
    /// The name that a refusal shows: `agent`, or `agent/primary`.
    pub(crate) entity: Arc<str>,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Customer => "customer",
            Level::Team => "team",
            Level::VirtualKey => "virtual key",
            Level::VirtualKeyProvider => "provider of virtual key",
            Level::VirtualKeyModel => "model of virtual key",
            Level::Provider => "provider",
            Level::Model => "model",
        };
        write!(f, "{level} '{}'", self.entity)
    }
}

/// A meter and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meter {
    pub(crate) measure: Measure,
    pub(crate) owner: Owner,
    pub(crate) limit: Amount,
    pub(crate) window: Window,
    /// What was charged since the window's start.
    pub(crate) used: Amount,
    /// What the requests on their way may still cost.
    pub(crate) held: Amount,
}

/// What the database keeps of a meter's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MeterState {
    pub(crate) id: MeterId,
    pub(crate) used: Amount,
    pub(crate) window_start: Moment,
}

impl Meter {
    /// What is used at `now`: nothing once the window has ended.
    pub(crate) fn used_at(&self, now: Moment) -> Amount {
        if self.window.has_ended(now) { Amount::ZERO } else { self.used }
    }

    /// The window that `now` belongs to.
    pub(crate) fn window_at(&self, now: Moment) -> Window {
        if self.window.has_ended(now) {
            Window::beginning(self.window.length.clone(), now)
        } else {
            self.window.clone()
        }
    }

    /// Begins a new window if the present one has ended. Holds stay: they belong
    /// to requests that will be charged to the window in which they settle.
    pub(super) fn roll(&mut self, now: Moment) -> bool {
        let ended = self.window.has_ended(now);
        if ended {
            self.reset(now);
        }
        ended
    }

    /// Begins a new window, whether or not the present one has ended.
    pub(crate) fn reset(&mut self, now: Moment) {
        self.window = Window::beginning(self.window.length.clone(), now);
        self.used = Amount::ZERO;
    }

    pub(super) fn state(&self, id: &MeterId) -> MeterState {
        MeterState { id: id.clone(), used: self.used, window_start: self.window.start }
    }
}
