-- A journal of years takes its time.
SET LOCAL statement_timeout = 0;
SET LOCAL maintenance_work_mem = '256MB';

-- A span of time in the journal, newest first.
CREATE INDEX exchange_by_time ON exchange (at, id);

-- Words within the journal and clients' names, found by their trigrams: a text that stands in one of a million exchanges is found in
-- milliseconds, where reading all of them takes seconds. The extension is PostgreSQL's own (contrib); whoever provides the database makes it.
-- Without it nothing fails: the same searches read the rows.
DO $$
DECLARE home text;
BEGIN
    SELECT n.nspname INTO home FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_trgm' AND has_schema_privilege(n.oid, 'USAGE');
    IF home IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE INDEX exchange_by_text ON exchange USING gin (lower(understood::text) %1$I.gin_trgm_ops, lower(reason) %1$I.gin_trgm_ops)', home);
    EXECUTE format('CREATE INDEX order_out_by_client ON order_out USING gin (lower(client) %I.gin_trgm_ops)', home);
END $$
