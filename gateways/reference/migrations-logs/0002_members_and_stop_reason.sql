-- Whose key it was when the request was admitted.
ALTER TABLE logs ADD COLUMN team_id TEXT;
ALTER TABLE logs ADD COLUMN team_name TEXT;
ALTER TABLE logs ADD COLUMN customer_id TEXT;
ALTER TABLE logs ADD COLUMN customer_name TEXT;
-- Why the model stopped, in its provider's words, divided by commas.
ALTER TABLE logs ADD COLUMN stop_reason TEXT;
