//! Where a request stands in its caller's trace, in the words of W3C Trace Context.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceState};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A request's own span.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) span: SpanContext,
    /// The caller's span; an invalid one where the trace begins here.
    pub(super) parent: SpanId,
}

impl Trace {
    /// Continues the caller's trace, or begins one. The provider's headers are made of
    /// `headers`, which therefore name this span from now on.
    pub(super) fn begin(headers: &mut HeaderMap) -> Trace {
        let caller = caller(headers);
        let ids = RandomIdGenerator::default();
        let (trace_id, flags, state) = match &caller {
            Some(caller) => (caller.trace_id(), caller.trace_flags(), caller.trace_state().clone()),
            None => (ids.new_trace_id(), TraceFlags::SAMPLED, TraceState::NONE),
        };
        let span = SpanContext::new(trace_id, ids.new_span_id(), flags, false, state);
        let header = format!("00-{trace_id}-{}-{:02x}", span.span_id(), flags.to_u8());
        if let Ok(header) = HeaderValue::from_str(&header) {
            headers.insert(TRACEPARENT, header);
        }
        if caller.is_none() {
            headers.remove(TRACESTATE);
        }
        Trace { span, parent: caller.map_or(SpanId::INVALID, |caller| caller.span_id()) }
    }
}

/// The caller's span, if its headers name a valid one.
fn caller(headers: &HeaderMap) -> Option<SpanContext> {
    headers.get(TRACEPARENT)?;
    let context = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    let span = context.span().span_context().clone();
    span.is_valid().then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(traceparent: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (TRACEPARENT, HeaderValue::from_static(traceparent)),
            (TRACESTATE, HeaderValue::from_static("vendor=1")),
        ])
    }

    #[test]
    fn the_callers_trace_is_continued_with_a_span_of_its_own() {
        let mut headers = headers(PARENT);
        let trace = Trace::begin(&mut headers);
        assert_eq!(trace.span.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.parent.to_string(), "b7ad6b7169203331");
        let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", trace.span.span_id());
        assert_eq!(headers.get(TRACEPARENT).map(HeaderValue::as_bytes), Some(expected.as_bytes()));
        assert!(headers.contains_key(TRACESTATE));
    }

    #[test]
    fn a_header_that_makes_no_sense_begins_a_new_trace() {
        for wrong in ["", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
            let mut headers = headers(wrong);
            let trace = Trace::begin(&mut headers);
            assert!(trace.span.is_valid() && trace.span.is_sampled(), "{wrong}");
            assert_eq!(trace.parent, SpanId::INVALID);
            assert!(!headers.contains_key(TRACESTATE));
        }
    }

    #[test]
    fn a_caller_who_does_not_sample_is_followed() {
        let mut headers = headers("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        assert!(!Trace::begin(&mut headers).span.is_sampled());
    }
}
