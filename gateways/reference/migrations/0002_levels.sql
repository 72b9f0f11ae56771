-- Customers and teams: whose virtual keys share budgets and limits.
CREATE TABLE customers (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    -- as for virtual keys
    file_hash  TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    standing   TEXT NOT NULL
) STRICT;

CREATE TABLE teams (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL,
    customer_id TEXT,
    file_hash   TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    standing    TEXT NOT NULL
) STRICT;

-- What limits the use of a model.
CREATE TABLE model_configs (
    id             TEXT PRIMARY KEY NOT NULL,
    -- `*` for every model
    model_name     TEXT NOT NULL,
    -- NULL for every provider
    provider       TEXT,
    -- NULL for whoever asks
    virtual_key_id TEXT,
    file_hash      TEXT,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    standing       TEXT NOT NULL
) STRICT;

-- One of the two, or none. The entity may be gone: then the key lives on without it.
ALTER TABLE virtual_keys ADD COLUMN team_id TEXT;
ALTER TABLE virtual_keys ADD COLUMN customer_id TEXT;
