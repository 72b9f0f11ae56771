//! What one call to a provider holds: the most that it can cost, against every budget and
//! limit that it touches.

use std::iter;
use std::sync::Arc;

use axum::http::StatusCode;

use super::bounds::Bounds;
use super::request::Request;
use super::{answer, caller, server_tools};
use crate::books::{Admitted, Bill, Held};
use crate::config::{AllowList, Provider, RequestType};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::ledger::{Claim, Measure, MeterId};
use crate::policy::{Policy, VirtualKey};
use crate::pricing::{PriceQuestion, Tariff, Unbounded};
use crate::routing::{self, Candidate};
use crate::store::NotWritten;
use crate::telemetry::Notes;
use crate::translate::Form;

/// What is held for output where nothing bounds it and the model is new.
const UNKNOWN_OUTPUT_TOKENS: u64 = 4_096;

/// Who asks a provider for what.
pub(super) struct Asks<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) request: &'a Request,
    /// The virtual key as it was when the request was read.
    pub(super) key: Option<&'a VirtualKey>,
    pub(super) candidate: &'a Candidate,
    /// The form in which the provider is asked.
    pub(super) form: Form,
    pub(super) notes: &'a Arc<Notes>,
}

/// What is held for a call, on disk.
pub(super) struct Hold {
    /// The virtual key as it is now.
    pub(super) key: Option<Arc<VirtualKey>>,
    pub(super) held: Held,
    pub(super) tariff: Tariff,
    pub(super) meters: Arc<[MeterId]>,
}

impl Asks<'_> {
    /// Holds what the call can cost, and waits until that is written.
    pub(super) async fn hold(&self) -> Result<Hold, Problem> {
        let Turn { key, admitted, tariff, meters } = self.admit()?;
        let held = admitted.written().await.map_err(not_held)?;
        Ok(Hold { key, held, tariff, meters })
    }

    /// Whether the virtual key is as it was when the hold was made.
    pub(super) fn is_current(&self, hold: &Hold) -> bool {
        let policy = self.gateway.policy();
        hold.key.as_ref().is_none_or(|key| self.now(&policy, key).is_ok_and(|now| Arc::ptr_eq(&now, key)))
    }

    /// The virtual key as it is now, if it may be used.
    fn now(&self, policy: &Policy, key: &VirtualKey) -> Result<Arc<VirtualKey>, Problem> {
        caller::current(&policy.keys, &key.row.value_hash, self.gateway.books.now())
    }

    /// Admits the request by what its virtual key says at this moment: since it was asked for
    /// last, an administrator may have edited, disabled or deleted it.
    fn admit(&self) -> Result<Turn, Problem> {
        let Asks { gateway, candidate, notes, .. } = self;
        // Until the claim is admitted no edit can come between.
        let policy = gateway.policy();
        let key = self.key.map(|key| self.now(&policy, key)).transpose()?;
        if key.is_some() {
            let allowed = routing::explicit(&candidate.provider, &candidate.model, key.as_deref(), &candidate.pin);
            allowed.map_err(|error| answer::refused(&error))?;
        }
        notes.belongs_to(policy.levels.members(key.as_deref()));
        let meters = policy.levels.chain(key.as_deref(), &candidate.provider.name, &candidate.model);
        let (claim, tariff) = self.claim(key.as_deref(), Arc::clone(&meters))?;
        let admitted = gateway.books.admit(claim);
        let admitted = admitted.map_err(|refusal| Problem::from_refusal(&refusal, gateway.books.now()))?;
        drop(policy);
        let admitted = admitted.billed_to(Arc::clone(notes) as Arc<dyn Bill>);
        Ok(Turn { key, admitted, tariff, meters })
    }

    /// The most that the request can cost at this provider, to be held against the meters.
    fn claim(&self, key: Option<&VirtualKey>, meters: Arc<[MeterId]>) -> Result<(Claim, Tariff), Problem> {
        let Asks { gateway, request, candidate, .. } = self;
        let (provider, model) = (&candidate.provider.name, &candidate.model);
        let kind = request.route.request_type();
        let catalog = gateway.prices();
        let question =
            PriceQuestion { key: key.map(|key| key.row.id.as_ref()), provider, provider_key: None, model, kind };
        let provider_keys = || candidate.provider.keys_for(model, key_ids(key, &candidate.provider));
        let prices = catalog.prices(question, provider_keys());
        let has_budget = meters.iter().any(|meter| meter.measure() == Measure::Usd);
        if prices.is_none() && has_budget && !gateway.client().unpriced_allowed {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "model_unpriced",
                format!("Model '{model}' of provider '{provider}' has no price, so it cannot be used under a budget"),
            ));
        }
        let Bounds { input, max_output, answers, service, may_compact } = request.bounds;
        let names = iter::once(model.as_str()).chain(provider_keys().map(|key| key.wire_model(model)));
        let tools = server_tools::with_own(&request.server_tools, self.form, names, answers);
        let mut tariff = Tariff::new(prices.unwrap_or_default(), service, server_tools::extras(&tools));
        if has_budget && !gateway.client().unpriced_allowed {
            tools.iter().try_for_each(|tool| tool.may_be_used(&tariff, candidate))?;
        }
        let (api, window) = (candidate.provider.api, catalog.max_input_tokens(provider, model));
        let rounds = server_tools::rounds(&tools);
        // A summary reads all that an answer does, and may be as long: `max_tokens` bounds it too.
        let (readings, summaries) = if may_compact { (2, rounds.saturating_add(1)) } else { (1, 0) };
        let input_tokens = input.most_tokens(api, window, rounds).saturating_mul(readings);
        if let Some(media) = request.media {
            let most = tariff.media_bound(media, input_tokens);
            let claim = Claim { cost: most.cost, tokens: most.tokens, meters, admission: gateway.client().admission };
            return Ok((claim, tariff));
        }
        let known_output = match kind {
            RequestType::Embedding => Some(0),
            _ => max_output.or_else(|| catalog.max_output_tokens(provider, model)),
        };
        let texts = answers.saturating_add(summaries);
        let bound = |output: u64| tariff.bound(input_tokens, output.saturating_mul(texts));
        let unbounded =
            known_output.is_none().then(|| Unbounded { provider: Arc::clone(provider), model: model.clone(), answers });
        let last = unbounded.as_ref().and_then(|model| gateway.last_spent.get(model));
        let most = match last {
            // A long prompt costs more than the last answer to a short one.
            Some(last) => last.max(bound(0)),
            None => bound(known_output.unwrap_or(UNKNOWN_OUTPUT_TOKENS)),
        };
        let claim = Claim { cost: most.cost, tokens: most.tokens, meters, admission: gateway.client().admission };
        tariff.unbounded = unbounded;
        Ok((claim, tariff))
    }
}

/// A call that was admitted.
struct Turn {
    key: Option<Arc<VirtualKey>>,
    admitted: Admitted,
    tariff: Tariff,
    meters: Arc<[MeterId]>,
}

/// Which of the provider's keys a virtual key may use; `None`: any.
pub(super) fn key_ids<'a>(key: Option<&'a VirtualKey>, provider: &Provider) -> Option<&'a AllowList> {
    key.and_then(|key| key.grant(&provider.name)).map(|policy| &policy.grant.key_ids)
}

fn not_held(error: NotWritten) -> Problem {
    let message = format!("{error}; the provider was not called");
    Problem::failure(StatusCode::SERVICE_UNAVAILABLE, "spend_not_recorded", message)
}
