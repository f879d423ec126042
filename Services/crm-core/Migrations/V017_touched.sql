-- When a company or a contact last changed, for who keeps a copy of the list (`updatedSince`); each change is a version, whoever makes it: a
-- page that was opened before the client's next answer must not write over it.
ALTER TABLE company ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE contact ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX company_by_update ON company (updated_at);
CREATE INDEX contact_by_update ON contact (updated_at);

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Not now(): a batch of events is one transaction, and begins long before it is seen.
    NEW.updated_at := clock_timestamp();
    NEW.version := OLD.version + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER company_touched BEFORE UPDATE ON company FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch();
CREATE TRIGGER contact_touched BEFORE UPDATE ON contact FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch();
