//! What happens to a request: a pure decision on the script and the faults played so far.

use std::collections::HashMap;

use crate::answer::Refusal;
use crate::ask::Ask;
use crate::fault::{Caller, Fault, pick};
use crate::route::{Route, Target};
use crate::script::{Provider, Script};

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    /// It would be refused whatever the script says of faults.
    Refuse(Refusal),
    /// It is answered, as well as the fault permits.
    Answer(Fault),
}

/// For each provider how often each of its fault rules was asked.
pub(crate) type FaultCounts = HashMap<String, Vec<u32>>;

/// What a request is, and whether its body made sense.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) target: &'a Target,
    pub(crate) key: Option<&'a str>,
    pub(crate) ask: &'a Result<Ask, Refusal>,
}

pub(crate) fn decide(script: &Script, counts: &mut FaultCounts, request: Request<'_>) -> Decision {
    match refusal(script, request) {
        Err(refusal) => Decision::Refuse(refusal),
        Ok(None) => Decision::Answer(Fault::Ok),
        Ok(Some((name, provider))) => {
            let rules = &provider.faults;
            if rules.is_empty() {
                return Decision::Answer(Fault::Ok);
            }
            let counts = counts.entry(name.to_owned()).or_insert_with(|| vec![0; rules.len()]);
            let caller = Caller { key: request.key, route: request.target.route };
            Decision::Answer(pick(rules, counts, caller))
        }
    }
}

/// The provider whose faults apply, if the request is one for a provider.
fn refusal<'a>(script: &'a Script, request: Request<'a>) -> Result<Option<(&'a str, &'a Provider)>, Refusal> {
    let target = request.target;
    match target.route {
        Route::PriceSheet => return Ok(None),
        Route::Other => return Err(Refusal::not_found("There is nothing at this path.")),
        _ => {}
    }
    let name = target.provider.as_deref().unwrap_or_default();
    let Some(provider) = script.providers.get(name) else {
        // Who calls `/v1/…`, without a provider before it, learns what to write.
        let known: Vec<_> = script.providers.keys().map(|name| format!("`/{name}`")).collect();
        let message = format!("There is no provider `{name}`. Those of the script: {}.", known.join(", "));
        return Err(Refusal::not_found(message));
    };
    if request.key.is_none() {
        return Err(Refusal::missing_key());
    }
    let ask = request.ask.as_ref().map_err(Clone::clone)?;
    if target.route.is_inference() {
        let Some(model) = &ask.model else {
            return Err(Refusal::bad_request("The request names no model."));
        };
        if script.model_of(provider, model).is_none() {
            return Err(Refusal::unknown_model(model));
        }
    }
    Ok(Some((name, provider)))
}
