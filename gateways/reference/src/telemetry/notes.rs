//! Notes of a request on its way. Whoever takes part notes what happens; the record is
//! made of them once, when the outcome is known, and at the latest when the last of them
//! lets go.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use bytes::Bytes;
use uuid::Uuid;

use super::metrics::Pace;
use super::record::{Attempt, AttemptFailure, CallRecord, Content, FailedTry, Outcome, SelectedKey};
use super::sinks::Telemetry;
use super::trace::Trace;
use crate::books::Bill;
use crate::clock::Moment;
use crate::config::{Logging, ProviderKey, RequestType};
use crate::failure::Failure;
use crate::ledger::Spent;
use crate::money::Usd;
use crate::policy::{Members, VirtualKey};
use crate::usage::Usage;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Of a longer request id of the caller's, this much is kept.
const MOST_ID_CHARS: usize = 128;
/// Of a longer answer, this much is kept.
const MOST_CONTENT_BYTES: usize = 1 << 20;

/// Notes of a request on its way.
pub(crate) struct Notes {
    telemetry: Arc<Telemetry>,
    started: Instant,
    logging: Logging,
    /// Taken when the record is made.
    record: Mutex<Option<CallRecord>>,
}

impl Notes {
    /// A request has arrived. Its headers name its place in the trace from now on, where
    /// traces are sent.
    pub(crate) fn begin(
        telemetry: &Arc<Telemetry>,
        logging: Logging,
        now: Moment,
        route: &'static str,
        kind: RequestType,
        headers: &mut HeaderMap,
    ) -> Arc<Notes> {
        let request_id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let record = CallRecord {
            id: Uuid::now_v7(),
            request_id: request_id.map(|id| id.chars().take(MOST_ID_CHARS).collect()),
            started_at: now,
            route,
            kind,
            is_stream: false,
            model_asked: String::new(),
            key: None,
            team: None,
            customer: None,
            attempts: Vec::new(),
            outcome: Outcome::left(),
            latency: std::time::Duration::ZERO,
            first_chunk: None,
            content: None,
            finish_reasons: Vec::new(),
            trace: telemetry.spans.as_ref().map(|_| Trace::begin(headers)),
        };
        telemetry.active.begun(kind);
        let telemetry = Arc::clone(telemetry);
        Arc::new(Notes { telemetry, started: Instant::now(), logging, record: Mutex::new(Some(record)) })
    }

    /// Who asks is known.
    pub(crate) fn identified(&self, key: Option<&Arc<VirtualKey>>) {
        self.note(|record| record.key = key.cloned());
    }

    /// Whose limits it touches is known.
    pub(crate) fn belongs_to(&self, members: Members<'_>) {
        if members.team.is_some() || members.customer.is_some() {
            self.note(|record| {
                record.team = members.team.cloned();
                record.customer = members.customer.cloned();
            });
        }
    }

    /// What is asked is known.
    pub(crate) fn asked(&self, model: &str, is_stream: bool, body: &Bytes) {
        self.note(|record| {
            model.clone_into(&mut record.model_asked);
            record.is_stream = is_stream;
            if self.logging.content {
                record.content = Some(Content { input: body.clone(), output: Vec::new() });
            }
        });
    }

    /// A provider's turn begins.
    pub(crate) fn attempt(&self, provider: &Arc<str>, model: &str, index: usize) {
        self.note(|record| {
            record.attempts.push(Attempt {
                provider: Arc::clone(provider),
                model: model.to_owned(),
                index,
                key: None,
                latency: None,
                failure: None,
                cost: Usd::ZERO,
                usage: None,
                retries: 0,
                failed_tries: Vec::new(),
                answer_failed: false,
            });
        });
    }

    /// The provider is called next.
    pub(crate) fn called(&self) {
        // Until it has ended: when it began.
        let began = self.started.elapsed();
        self.note_attempt(|attempt| attempt.latency = Some(began));
    }

    /// The provider answers, to a request with this key.
    pub(crate) fn served_by(&self, key: Option<&ProviderKey>) {
        self.note_attempt(|attempt| attempt.key = key.map(SelectedKey::of));
    }

    /// A call with this key failed.
    pub(crate) fn try_failed(&self, key: Option<&ProviderKey>, failure: &Failure) {
        self.note_attempt(|attempt| {
            attempt.failed_tries.push(FailedTry {
                key: key.map(SelectedKey::of),
                is_keys_failure: failure.may_be_the_keys(),
                rotated_for: None,
            });
        });
    }

    /// What the provider answered was no use, or broke off; whether that may be due to the key.
    pub(crate) fn answer_failed(&self, is_keys_failure: bool) {
        self.note_attempt(|attempt| {
            attempt.answer_failed = true;
            attempt.failed_tries.push(FailedTry { key: attempt.key.clone(), is_keys_failure, rotated_for: None });
        });
    }

    /// The provider is called again after this failure, with this key.
    pub(crate) fn tried_again(&self, key: Option<&ProviderKey>, reason: Option<&'static str>) {
        self.note_attempt(|attempt| {
            attempt.retries = attempt.retries.saturating_add(1);
            if let Some(failed) = attempt.failed_tries.last_mut() {
                let is_other = failed.key.as_ref().map(|key| &key.id) != key.map(|key| &key.id);
                failed.rotated_for = reason.filter(|_| is_other);
            }
        });
    }

    /// The provider said what it used.
    pub(crate) fn used(&self, usage: Usage) {
        self.note_attempt(|attempt| attempt.usage = Some(usage));
    }

    /// The provider said why the model stopped.
    pub(crate) fn finished(&self, reasons: Vec<String>) {
        self.note(|record| record.finish_reasons = reasons);
    }

    /// The provider did not serve; another one may.
    pub(crate) fn attempt_failed(&self, word: String, status: StatusCode) {
        let now = self.started.elapsed();
        self.note_attempt(|attempt| {
            attempt.latency = attempt.latency.map(|began| now.saturating_sub(began));
            attempt.failure = Some(AttemptFailure { word, status: status.as_u16() });
        });
    }

    /// The first event of a stream is there. Who is given the others tells them to what is returned.
    pub(crate) fn stream_began(&self) -> Option<Pace> {
        let mut pace = None;
        self.note(|record| {
            record.first_chunk = Some(self.started.elapsed());
            pace = self.telemetry.pace(record);
        });
        pace
    }

    /// A part of the answer goes to the caller.
    pub(crate) fn answered(&self, part: &[u8]) {
        if self.logging.content {
            self.note(|record| {
                if let Some(content) = &mut record.content {
                    let room = MOST_CONTENT_BYTES.saturating_sub(content.output.len()).min(part.len());
                    content.output.extend(part.iter().take(room));
                }
            });
        }
    }

    /// The whole answer is there.
    pub(crate) fn served(&self) {
        self.note(|record| record.outcome = Outcome::Served);
    }

    /// The caller is told of a failure.
    pub(crate) fn failed(&self, status: StatusCode, kind: impl Into<Cow<'static, str>>) {
        self.note(|record| record.outcome = Outcome::Failed { status: status.as_u16(), kind: kind.into() });
    }

    /// Makes the record, if it is not made yet.
    pub(crate) fn finish(&self) {
        let taken = self.record.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut record) = taken {
            self.telemetry.active.ended(record.kind);
            record.latency = self.started.elapsed();
            // What failed has ended before.
            if let Some(last) = record.attempts.last_mut().filter(|last| last.failure.is_none()) {
                last.latency = last.latency.map(|began| record.latency.saturating_sub(began));
            }
            self.telemetry.tell(record, self.logging.enabled);
        }
    }

    fn note_attempt(&self, note: impl FnOnce(&mut Attempt)) {
        self.note(|record| {
            if let Some(attempt) = record.attempts.last_mut() {
                note(attempt);
            }
        });
    }

    fn note(&self, note: impl FnOnce(&mut CallRecord)) {
        // No note can panic half-way, so a poisoned record is whole.
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = record.as_mut() {
            note(record);
        }
    }
}

impl Bill for Notes {
    fn charged(&self, spent: Spent) {
        self.note_attempt(|attempt| attempt.cost = attempt.cost.plus(spent.cost));
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        self.finish();
    }
}
