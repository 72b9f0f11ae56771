-- Whether windows follow the calendar, by default for the budgets and limits of such an owner.
ALTER TABLE customers ADD COLUMN calendar_aligned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE teams ADD COLUMN calendar_aligned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_configs ADD COLUMN calendar_aligned INTEGER NOT NULL DEFAULT 0;
