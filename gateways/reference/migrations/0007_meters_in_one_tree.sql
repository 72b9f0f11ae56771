-- The same table, in which the id alone says where a row is: one tree to search and to write, not two.
CREATE TABLE meters_by_id (
    -- budget:<id>, requests:<id> or tokens:<id>
    id               TEXT PRIMARY KEY NOT NULL,
    owner_level      TEXT NOT NULL,
    owner_id         TEXT NOT NULL,
    -- pico-dollars, requests or tokens
    max_amount       INTEGER NOT NULL,
    reset_duration   TEXT NOT NULL,
    used             INTEGER NOT NULL,
    -- milliseconds since 1970
    window_start     INTEGER NOT NULL,
    file_hash        TEXT,
    standing         TEXT NOT NULL,
    calendar_aligned INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

INSERT INTO meters_by_id
SELECT id, owner_level, owner_id, max_amount, reset_duration, used, window_start, file_hash, standing, calendar_aligned
FROM meters ORDER BY id;
DROP TABLE meters;
ALTER TABLE meters_by_id RENAME TO meters;
