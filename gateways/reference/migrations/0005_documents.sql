-- What an administrator changed beside keys and meters, one entity a row. What was never
-- changed has no row: config.json alone says what it is.
CREATE TABLE documents (
    -- client, auth, encryption, provider or provider_key
    kind      TEXT NOT NULL,
    id        TEXT NOT NULL,
    -- JSON, or a sealed text
    body      TEXT NOT NULL,
    -- Hash of the entity in config.json when it was changed; NULL for one made through the API.
    file_hash TEXT,
    -- live; deleted: an administrator deleted what the file has
    standing  TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;
