//! One line in the gateway's own log for each request: who, what, how it ended, what it
//! cost. Never what was asked or answered, and no credential.

use super::queue::Receiver;
use super::record::CallRecord;

/// Whether the log is open for such lines.
pub(crate) fn are_wanted() -> bool {
    tracing::enabled!(tracing::Level::INFO)
}

/// Writes one line for each record, until the last request has ended.
pub(crate) async fn write_all(mut records: Receiver) {
    while let Some(batch) = records.next_batch().await {
        batch.iter().for_each(|record| line(record));
    }
}

fn line(record: &CallRecord) {
    let attempt = record.deciding_attempt();
    let tokens = record.tokens();
    tracing::info!(
        id = %record.id,
        request_id = record.request_id,
        route = record.route,
        stream = record.is_stream,
        status = record.outcome.word(),
        status_code = record.outcome.status(),
        error_type = record.outcome.error(),
        provider = attempt.map(|attempt| &*attempt.provider),
        model = attempt.map(|attempt| attempt.model.as_str()),
        model_asked = record.model_asked,
        virtual_key_id = record.key().map(|(id, _)| id),
        virtual_key_name = record.key().map(|(_, name)| name),
        team_id = record.team().map(|(id, _)| id),
        customer_id = record.customer().map(|(id, _)| id),
        fallback_index = attempt.map(|attempt| attempt.index),
        input_tokens = tokens.input,
        output_tokens = tokens.output,
        // As a text, so that no reader rounds it.
        cost = %record.cost(),
        latency_ms = millis(record.latency),
        first_chunk_ms = record.first_chunk.map(millis),
        "request"
    );
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
