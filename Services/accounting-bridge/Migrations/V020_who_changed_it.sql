-- Who made a change of a document, where the base keeps versions of its objects and lets us read them.
ALTER TABLE told_change
    -- When the state before the change was told: what was written earlier cannot be the change.
    ADD COLUMN since timestamptz,
    ADD COLUMN by_whom text,
    -- When it was written, by the base's own clock, which has no zone: `2026-11-27T14:05:00`.
    ADD COLUMN by_whom_at text,
    -- Why nobody knows; with neither it has not been asked yet.
    ADD COLUMN by_whom_unknown text;
CREATE INDEX told_change_unasked ON told_change (base, at) WHERE by_whom IS NULL AND by_whom_unknown IS NULL;
