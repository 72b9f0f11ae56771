//! One request, from its head to the end of its answer.

use std::sync::Arc;

use axum::body::Body as HttpBody;
use axum::extract::{ConnectInfo, Request as HttpRequest, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;

use crate::answer::{self, Answer, Body, Job, Refusal};
use crate::ask::Ask;
use crate::breakage::{Broken, Ending, broken};
use crate::connection::Line;
use crate::decide::{Decision, Request};
use crate::fault::Fault;
use crate::ledger::Outcome;
use crate::play::{Player, wait};
use crate::route::{Route, Sheet, Target, query_value};
use crate::script::{Latency, Model, Price, Script, Usage, UsageAt};
use crate::sheets;
use crate::usd::Usd;
use crate::world::{Arrival, Open, World};
use crate::write::writes;

const MOST_BODY_BYTES: usize = 64 << 20;

/// Answers a request.
pub(crate) async fn handle(
    State(world): State<Arc<World>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: HttpRequest,
) -> Response {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let target = Target::read(
        head.method == Method::GET,
        head.method == Method::POST,
        head.uri.path(),
        query,
        head.headers.contains_key("anthropic-version"),
    );
    let key = upstream_key(&head.headers, query);
    let received = receive(body).await;
    let is_broken = matches!(received, Received::Broken);
    let (body, ask) = match received {
        Received::Whole(body) => {
            let ask = Ask::read(&target, &body).map_err(Refusal::bad_request);
            (body, ask)
        }
        Received::TooLong => (String::new(), Err(Refusal::too_large(MOST_BODY_BYTES))),
        Received::Broken => (String::new(), Err(Refusal::bad_request("the body did not arrive whole"))),
    };
    let arrival =
        Arrival { method: head.method.to_string(), path: head.uri.to_string(), headers: headers(&head.headers), body };
    let request = Request { target: &target, key: key.as_deref(), ask: &ask };
    let (open, script, decision) = world.arrive(arrival, request);
    match (decision, ask) {
        // Nobody is left to answer: dropped, the call was left by its client.
        (_, Err(refusal)) if is_broken => {
            drop(open);
            whole_response(refusal.answer(&target, 0))
        }
        (Decision::Refuse(refusal), _) => refuse(open, &target, &refusal),
        (_, Err(refusal)) => refuse(open, &target, &refusal),
        (Decision::Answer(fault), Ok(ask)) => Call { open, line, script: &script, target, ask }.answer(fault).await,
    }
}

/// What came of a request's body.
enum Received {
    Whole(String),
    TooLong,
    /// The client went away in the middle of it.
    Broken,
}

async fn receive(body: HttpBody) -> Received {
    let mut pieces = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return Received::Broken };
        if bytes.len() + piece.len() > MOST_BODY_BYTES {
            return Received::TooLong;
        }
        bytes.extend_from_slice(&piece);
    }
    Received::Whole(String::from_utf8_lossy(&bytes).into_owned())
}

fn refuse(mut open: Open, target: &Target, refusal: &Refusal) -> Response {
    open.settle(Outcome::Answered, Some(refusal.status));
    let answer = refusal.answer(target, open.seq);
    whole_response(answer)
}

struct Call<'a> {
    open: Open,
    line: Line,
    script: &'a Script,
    target: Target,
    ask: Ask,
}

impl Call<'_> {
    async fn answer(mut self, fault: Fault) -> Response {
        let stream = self.ask.stream;
        match fault {
            Fault::Hang => self.hang().await,
            Fault::ResetBefore => {
                self.open.settle(Outcome::Faulted, None);
                self.line.reset();
                self.hang().await
            }
            Fault::Status { code, retry_after, message } => {
                let refusal = Refusal::scripted(code, retry_after, message.as_deref());
                self.fail(&refusal).await
            }
            // Without a stream there is no event that could carry it.
            Fault::ErrorEvent { .. } if !stream => self.fail(&Refusal::scripted(500, None, None)).await,
            fault => self.play(&fault).await,
        }
    }

    /// Never answers: this future ends when its connection does.
    async fn hang(self) -> Response {
        let _open = self.open;
        std::future::pending().await
    }

    /// An error status, after the usual time to the first byte.
    async fn fail(mut self, refusal: &Refusal) -> Response {
        wait(self.latency().first_byte.duration()).await;
        self.open.settle(Outcome::Faulted, Some(refusal.status));
        whole_response(refusal.answer(&self.target, self.open.seq))
    }

    async fn play(mut self, fault: &Fault) -> Response {
        let latency = self.latency();
        let Some((answer, lacks_usage)) = self.made(fault) else {
            let model = self.ask.model.clone().unwrap_or_default();
            return refuse(self.open, &self.target, &Refusal::unknown_model(&model));
        };
        let length = match &answer.body {
            Body::Whole(bytes) => Some(bytes.len()),
            Body::Frames(_) => None,
        };
        let Broken { answer, ending, faulted } =
            broken(answer, fault, |before| answer::error_event(&self.target, self.open.seq, before));
        wait(latency.first_byte.duration()).await;
        let outcome = if faulted || lacks_usage { Outcome::Faulted } else { Outcome::Answered };
        let faults_on_writes = matches!(fault, Fault::Split { .. } | Fault::SlowDrip { .. } | Fault::Cut { .. });
        if matches!(answer.body, Body::Whole(_)) && ending == Ending::Proper && !faults_on_writes {
            self.open.settle(outcome, Some(answer.status));
            return whole_response(answer);
        }
        // A body that is cut ends properly, so its length cannot have been promised.
        let length = length.filter(|_| !matches!(fault, Fault::Cut { .. }));
        self.open.begin(answer.status);
        let head = (answer.status, answer.content_type, answer.headers);
        let writes = writes(answer.body, latency.between_chunks.duration(), fault);
        let player = Player::new(writes, ending, outcome, self.open, self.line);
        let body = HttpBody::from_stream(player.play());
        response(head, length, body)
    }

    /// The answer without what the fault does to it, and whether the fault took the usage from
    /// it; what it costs is owed from now on.
    fn made(&mut self, fault: &Fault) -> Option<(Answer, bool)> {
        let provider = self.target.provider.as_deref();
        let provider = provider.and_then(|name| self.script.providers.get(name));
        match self.target.route {
            Route::PriceSheet => return self.target.sheet.map(|sheet| (self.sheet(sheet), false)),
            Route::Models => {
                return Some((answer::of_list(self.script, provider?, &self.target, &self.ask)?, false));
            }
            _ => {}
        }
        let name = self.ask.model.as_deref()?;
        let model = self.script.model_of(provider?, name)?;
        let job = Job {
            seq: self.open.seq,
            created: jiff::Timestamp::now().as_second(),
            name,
            model,
            usage_at: model.usage_at,
            ask: &self.ask,
        };
        let mut answer = answer::of_model(&job, &self.target);
        let mut lacks_usage = false;
        if matches!(fault, Fault::MissingUsage) {
            let without = answer::of_model(&Job { usage_at: UsageAt::Never, ..job }, &self.target);
            lacks_usage = without.body != answer.body;
            answer = without;
        }
        let whole = owed(self.target.route, model, &self.ask);
        match answer.body {
            Body::Whole(_) => self.open.owe(whole, model.price),
            Body::Frames(_) => self.open.owe_as_produced(whole, model.price),
        }
        Some((answer, lacks_usage))
    }

    fn sheet(&self, sheet: Sheet) -> Answer {
        Answer::json(&match sheet {
            Sheet::BifrostPrices => sheets::price_sheet_bifrost(self.script),
            Sheet::LitellmPrices => sheets::price_sheet_litellm(self.script),
            Sheet::BifrostModelParameters => sheets::model_parameters_bifrost(self.script),
        })
    }

    fn latency(&self) -> Latency {
        if !self.target.route.is_inference() {
            return Latency::default();
        }
        let model = self.ask.model.as_deref().and_then(|name| self.script.models.get(name));
        model.map(|model| model.latency).unwrap_or_default()
    }
}

/// What a call of this route uses: embeddings produce nothing, and counting is free. Images and
/// audio that have a price of their own cost no tokens.
fn owed(route: Route, model: &Model, ask: &Ask) -> Usage {
    let usage = Usage { seconds: 0, ..model.usage };
    let has = |price: fn(&Price) -> Option<Usd>| model.price.as_ref().and_then(price).is_some();
    match route {
        Route::Images if has(|price| price.image) => Usage { images: ask.images, ..Usage::default() },
        Route::Speech if has(|price| price.character) => Usage { characters: ask.characters, ..Usage::default() },
        Route::Transcriptions if has(|price| price.second) => {
            Usage { seconds: model.usage.seconds, ..Usage::default() }
        }
        Route::Embeddings | Route::EmbedContent => Usage { output: 0, reasoning: 0, ..usage },
        Route::CountTokens => Usage::default(),
        _ => usage,
    }
}

/// The key that the caller shows the provider, wherever the APIs let it stand.
fn upstream_key(headers: &HeaderMap, query: &str) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer
        .or_else(|| text("x-api-key"))
        .or_else(|| text("x-goog-api-key"))
        .or_else(|| text("api-key"))
        .map(str::to_owned)
        .or_else(|| query_value(query, "key"))
        .filter(|key| !key.is_empty())
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

type Head = (u16, &'static str, Vec<(HeaderName, HeaderValue)>);

fn whole_response(answer: Answer) -> Response {
    let head = (answer.status, answer.content_type, answer.headers);
    response(head, None, HttpBody::from(answer.body.into_bytes()))
}

/// A response; without a length of its own it has the body's, if that is known.
fn response((status, content_type, headers): Head, length: Option<usize>, body: HttpBody) -> Response {
    let mut response = Response::new(body);
    // Scripts are checked for statuses that HTTP does not have.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let to = response.headers_mut();
    to.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    to.extend(headers);
    if let Some(length) = length {
        to.insert(CONTENT_LENGTH, length.into());
    }
    response
}
