-- Virtual keys. The value itself is never stored: only its SHA-256 and a hint.
CREATE TABLE virtual_keys (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    is_active   INTEGER NOT NULL,
    value_hash  TEXT NOT NULL,
    value_hint  TEXT NOT NULL,
    -- JSON: the list of provider configurations without their budgets and limits.
    grants      TEXT NOT NULL,
    -- Hash of the entity in config.json; NULL for one made through the API.
    file_hash   TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    -- live; left: config.json no longer has it; deleted: an administrator deleted it
    standing    TEXT NOT NULL
) STRICT;

-- Budgets and the two counters of rate limits, with what was used.
CREATE TABLE meters (
    -- budget:<id>, requests:<id> or tokens:<id>
    id             TEXT PRIMARY KEY NOT NULL,
    owner_level    TEXT NOT NULL,
    owner_id       TEXT NOT NULL,
    -- pico-dollars, requests or tokens
    max_amount     INTEGER NOT NULL,
    reset_duration TEXT NOT NULL,
    used           INTEGER NOT NULL,
    -- milliseconds since 1970
    window_start   INTEGER NOT NULL,
    file_hash      TEXT,
    standing       TEXT NOT NULL
) STRICT;

-- Requests that are on their way to a provider. A row that is still here at a
-- start belongs to a process that was killed, and counts as spent.
CREATE TABLE holds (
    id     INTEGER PRIMARY KEY NOT NULL,
    cost   INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    -- JSON: the ids of the meters it is held against
    meters TEXT NOT NULL
) STRICT;
