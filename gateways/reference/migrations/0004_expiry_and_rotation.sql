-- When a virtual key ceases to be valid (milliseconds since 1970), and the SHA-256 of the
-- file's value that a rotation has replaced: config.json must not bring it back.
ALTER TABLE virtual_keys ADD COLUMN expires_at INTEGER;
ALTER TABLE virtual_keys ADD COLUMN retired_hash TEXT;
