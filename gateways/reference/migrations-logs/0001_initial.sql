-- One row for each finished request.
CREATE TABLE logs (
    id                 TEXT PRIMARY KEY NOT NULL,
    -- The caller's own x-request-id.
    request_id         TEXT,
    -- milliseconds since 1970
    started_at         INTEGER NOT NULL,
    route              TEXT NOT NULL,
    object             TEXT NOT NULL,
    stream             INTEGER NOT NULL,
    -- As the caller wrote it.
    model_requested    TEXT NOT NULL,
    -- Of the provider that served; of the first one where none did.
    provider           TEXT NOT NULL,
    model              TEXT NOT NULL,
    fallback_index     INTEGER NOT NULL,
    -- JSON: every provider's turn.
    attempts           TEXT NOT NULL,
    virtual_key_id     TEXT,
    virtual_key_name   TEXT,
    status             TEXT NOT NULL,
    status_code        INTEGER NOT NULL,
    error_type         TEXT,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cached_tokens      INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens   INTEGER NOT NULL,
    -- pico-dollars
    cost               INTEGER NOT NULL,
    -- microseconds
    latency            INTEGER NOT NULL,
    first_chunk        INTEGER,
    -- What was asked and answered, only where the configuration says so.
    input              TEXT,
    output             TEXT
) STRICT;

CREATE INDEX logs_started_at ON logs (started_at);
