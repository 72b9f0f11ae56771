//! The control lane: a scenario's calls, straight against the upstream. What does not happen there
//! either is not held against a gateway.

use std::{collections::HashSet, net::SocketAddr, time::Duration};

use mock_upstream::Upstream;
use reqwest::Client;

use crate::{
    drive::{
        Outgoing, Size,
        answer::{Answer, End},
        blame_for_upstream, body, completed_script, method, send, with_models_of,
    },
    policy::{Policy, without_provider},
    scenario::{
        Action, Case, Step,
        call::{Call, RouteName},
        expect::{Status, StreamEnd},
    },
    verdict::Blame,
};

/// A provider that hangs by script, and is not the last, has this long; the next one is asked then.
const NEXT_AFTER: Duration = Duration::from_millis(500);

/// The last provider has this long, however slow its script is.
const DEADLINE: Duration = Duration::from_secs(10);

/// Does what the scenario takes for granted happen without a gateway?
///
/// # Errors
/// What does not happen, in a phrase, and who is to blame for that.
pub(super) async fn check(client: &Client, case: &Case) -> Result<(), (Blame, String)> {
    let policy = &case.scenario.policy;
    let mut script = completed_script(&case.scenario.upstream, policy);
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let started = Upstream::start(address, script.clone()).await;
    let upstream = started.map_err(|error| (blame_for_upstream(&error), error.to_string()))?;
    let mut seen = HashSet::new();
    let mut result = Ok(());
    for step in &case.scenario.steps {
        if let Action::Upstream(change) = &step.action {
            script = completed_script(&with_models_of(change, script), policy);
            upstream.set_script(script.clone()).map_err(|error| (Blame::Scenario, error.to_string()))?;
            seen.clear();
        }
        let Some((call, wanted)) = step.action.call().zip(wanted(step)) else { continue };
        let kind = (call.route, call.model.clone(), call.stream);
        if call.route == RouteName::Models || !seen.insert(kind) {
            continue;
        }
        if let Err(found) = try_providers(client, &upstream, policy, call, wanted).await {
            let what = format!("a {} call to {} straight to the upstream: {found}", call.route.word(), call.model);
            result = Err((Blame::Scenario, what));
            break;
        }
    }
    upstream.stop().await;
    result
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A whole answer.
    Served,
    /// An answer at least begins.
    Begun,
    FailedStream,
}

/// What a step takes for granted of the upstream, if anything.
fn wanted(step: &Step) -> Option<Wanted> {
    match (&step.expect.stream, &step.expect.status) {
        (Some(StreamEnd::Failed), _) => Some(Wanted::FailedStream),
        (Some(StreamEnd::Complete), _) => Some(Wanted::Served),
        (Some(StreamEnd::Begun), _) => Some(Wanted::Begun),
        (None, Some(Status::OneOf(statuses))) if statuses.contains(&200) => Some(Wanted::Served),
        _ => {
            let passed = step.expect.answers.as_ref().and_then(|answers| answers.passed);
            passed.filter(|passed| passed.at_least > 0).map(|_| Wanted::Begun)
        }
    }
}

async fn try_providers(
    client: &Client,
    upstream: &Upstream,
    policy: &Policy,
    call: &Call,
    wanted: Wanted,
) -> Result<(), String> {
    let mut call = call.clone();
    call.model = without_provider(&call.model, policy).to_owned();
    let call = &call;
    let usage = upstream.script().models.get(&call.model).map(|model| model.usage).unwrap_or_default();
    let mut found = "no provider is there".to_owned();
    for (index, provider) in policy.providers.iter().enumerate() {
        let last = index + 1 == policy.providers.len();
        let path = call.route.usual_path(&call.model, call.stream);
        let outgoing = Outgoing {
            marker: "control".to_owned(),
            method: method(call.route),
            url: format!("http://{}/{}{path}", upstream.addr(), provider.name),
            headers: vec![("authorization".to_owned(), "Bearer control".to_owned())],
            body: body(call, "control", Size { input: usage.input, output: usage.output }),
            route: call.route,
            hang_up_after: call.hang_up.as_ref().map(|hang_up| hang_up.after_events),
            // A stream that is meant to break may as well stay open: that shows at once.
            deadline: if last && wanted != Wanted::FailedStream { DEADLINE } else { NEXT_AFTER },
        };
        // As often as a gateway would try.
        for _ in 0..=provider.retries.unwrap_or(0) {
            let answer = send(client, &outgoing).await;
            if fits(&answer, wanted) {
                return Ok(());
            }
            found = format!("{}: {}", provider.name, answer.describe());
        }
    }
    Err(found)
}

fn fits(answer: &Answer, wanted: Wanted) -> bool {
    match wanted {
        Wanted::Served => answer.served_whole(),
        Wanted::Begun => answer.served(),
        Wanted::FailedStream => answer.served() && answer.end != End::Complete,
    }
}
