-- Whether windows follow the calendar: by default for the budgets and limits of a virtual key,
-- and for each of them.
ALTER TABLE virtual_keys ADD COLUMN calendar_aligned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN calendar_aligned INTEGER NOT NULL DEFAULT 0;
