-- After a fork whose last common event is older than our copies, what lies below them comes again. Its effects stand up to `retaken_to`,
-- unless it was said after `retaken_before`: then it is new, numbered once more by a publisher that had lost its tail.
ALTER TABLE subscription_cursor ADD COLUMN retaken_to bigint, ADD COLUMN retaken_before timestamptz;
