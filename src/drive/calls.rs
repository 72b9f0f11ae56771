//! Calls and bursts: what is sent to the gateway, and by how many at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use reqwest::Client;
use tokio::{sync::Barrier, task::JoinSet};

use super::{
    answer::{Answer, End, Outgoing},
    send::{body, method, send},
    world::CaseWorld,
};
use crate::{
    gateway::{Gateway, render::Renderer},
    period::Period,
    scenario::call::{Burst, Call, RouteName},
};

/// Makes the requests of one step.
#[derive(Clone)]
pub(super) struct Maker {
    base_url: String,
    path: String,
    headers: Vec<(String, String)>,
    call: Call,
    size: super::send::Size,
    prefix: String,
    counted_within: Duration,
}

impl Maker {
    /// A maker for a step's call; `prefix` begins the marker of each request.
    pub(super) fn new(gateway: &Gateway, world: &CaseWorld, call: &Call, prefix: String) -> Self {
        let manifest = &gateway.manifest;
        let usual = manifest.keys.via.first().copied();
        let mut headers = Vec::new();
        let key = call.as_key.as_ref().and_then(|name| world.keys.get(name)).or(call.key.as_ref());
        if let Some((key, via)) = key.zip(call.via.or(usual)) {
            let (name, value) = via.header(key);
            headers.push((name.to_owned(), value));
        }
        if let Some((also, key)) = call.also.as_ref().and_then(|also| Some((also, world.keys.get(&also.as_key)?))) {
            let (name, value) = also.via.header(key);
            headers.push((name.to_owned(), value));
        }
        if call.route == RouteName::Messages {
            headers.push(("anthropic-version".to_owned(), "2023-06-01".to_owned()));
        }
        headers.extend(call.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self {
            base_url: world.instance.base_url(),
            path: Renderer::new(gateway, &world.world).route(call),
            headers,
            call: call.clone(),
            size: world.size(&call.model),
            prefix,
            counted_within: manifest.promises.counted_within.map_or(Duration::ZERO, Period::duration),
        }
    }

    fn outgoing(&self, number: u32) -> Outgoing {
        let marker = format!("{}.{number}", self.prefix);
        Outgoing {
            method: method(self.call.route),
            url: format!("{}{}", self.base_url, self.path),
            headers: self.headers.clone(),
            body: body(&self.call, &marker, self.size),
            route: self.call.route,
            hang_up_after: self.call.hang_up.as_ref().map(|hang_up| hang_up.after_events),
            deadline: self.call.deadline.duration(),
            marker,
        }
    }
}

/// One caller, one call after another.
pub(super) async fn in_sequence(client: &Client, maker: &Maker) -> Vec<Answer> {
    let mut answers = Vec::new();
    for number in 1..=maker.call.times {
        if number > 1 {
            // When a call was counted cannot be asked for: the gateway's promise is waited for.
            tokio::time::sleep(maker.counted_within).await;
        }
        let answer = send(client, &maker.outgoing(number)).await;
        // A call that hangs, or that nobody answers, would only do so again.
        let hangs = answer.end == End::TimedOut || answer.status.is_none();
        let refused = !answer.served();
        answers.push(answer);
        if hangs || (refused && maker.call.until_refused) {
            break;
        }
    }
    answers
}

/// The makers of a burst's calls, one for each key that they take in turn.
pub(super) fn makers(gateway: &Gateway, world: &CaseWorld, burst: &Burst, prefix: &str) -> Vec<Maker> {
    let with = |key: Option<&String>| {
        let call = Call { as_key: key.cloned().or_else(|| burst.call.as_key.clone()), ..burst.call.clone() };
        Maker::new(gateway, world, &call, prefix.to_owned())
    };
    match burst.keys.as_slice() {
        [] => vec![with(None)],
        keys => keys.iter().map(|key| with(Some(key))).collect(),
    }
}

/// Many callers, all at once; the makers take turns.
pub(super) async fn at_once(client: &Client, makers: Vec<Maker>, burst: &Burst) -> Vec<Answer> {
    let makers: Arc<[Maker]> = makers.into();
    let requests = burst.requests.unwrap_or(burst.clients);
    let next = Arc::new(AtomicU32::new(1));
    let start = Arc::new(Barrier::new(burst.clients.max(1) as usize));
    let mut callers = JoinSet::new();
    for _ in 0..burst.clients {
        let (client, makers) = (client.clone(), Arc::clone(&makers));
        let (next, start) = (Arc::clone(&next), Arc::clone(&start));
        callers.spawn(async move {
            let mut answers = Vec::new();
            start.wait().await;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > requests {
                    return answers;
                }
                let Some(maker) = makers.get((number as usize - 1) % makers.len().max(1)) else { return answers };
                let answer = send(&client, &maker.outgoing(number)).await;
                let gone = answer.status.is_none();
                answers.push(answer);
                if gone {
                    // Nobody answers: the rest would only say so again.
                    return answers;
                }
            }
        });
    }
    callers.join_all().await.into_iter().flatten().collect()
}
