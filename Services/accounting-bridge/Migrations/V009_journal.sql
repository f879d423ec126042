-- The journal in parts, so that old ones go as a whole. An exchange's id is a UUIDv7: its first 48 bits are its time, and a day is a range of ids.
CREATE FUNCTION first_id_of(day date) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((day - date '1970-01-01')::bigint * 86400000), 12, '0') || repeat('0', 20))::uuid
$$;
CREATE FUNCTION day_of(id uuid) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT date '1970-01-01' + (('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 86400000)::int
$$;

ALTER TABLE exchange
    -- Its place in the chain of its day, and the chain up to it; null until it is sealed.
    ADD COLUMN place bigint,
    ADD COLUMN link bytea;
ALTER TABLE exchange RENAME TO exchange_before;
ALTER INDEX exchange_pkey RENAME TO exchange_before_pkey;
ALTER INDEX exchange_by_base RENAME TO exchange_before_by_base;
ALTER INDEX exchange_by_journey RENAME TO exchange_before_by_journey;
ALTER INDEX exchange_by_order RENAME TO exchange_before_by_order;
ALTER INDEX exchange_by_result RENAME TO exchange_before_by_result;
CREATE TABLE exchange (LIKE exchange_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (id);
ALTER TABLE exchange ADD PRIMARY KEY (id);
CREATE INDEX exchange_by_base ON exchange (base, id);
CREATE INDEX exchange_by_journey ON exchange USING gin (journeys);
CREATE INDEX exchange_by_order ON exchange USING gin (orders);
CREATE INDEX exchange_by_result ON exchange (result, id) WHERE result <> 'ok';
CREATE INDEX exchange_unsealed ON exchange (id) WHERE place IS NULL;
CREATE INDEX exchange_by_session ON exchange (session);
-- What a clock that jumps writes must be kept, too.
CREATE TABLE exchange_other PARTITION OF exchange DEFAULT;

-- By months: a question that names no day locks every part, and five years of days would be more than the server's table of locks takes.
CREATE FUNCTION ensure_journal_parts() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted date;
    part text;
BEGIN
    FOR months IN 0..1 LOOP
        wanted := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => months))::date;
        part := 'exchange_' || to_char(wanted, 'YYYYMM');
        -- The month in which the parts began is that of what was there before.
        IF to_regclass(format('%I', part)) IS NULL AND wanted >= (SELECT first_month FROM journal_parts) THEN
            -- What came before its part was there, or from a clock that was ahead, moves into it.
            EXECUTE format('CREATE TABLE %I (LIKE exchange INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part);
            EXECUTE format('WITH moved AS (DELETE FROM exchange_other WHERE id >= %L AND id < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
                first_id_of(wanted), first_id_of((wanted + interval '1 month')::date), part);
            EXECUTE format('ALTER TABLE exchange ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                part, first_id_of(wanted), first_id_of((wanted + interval '1 month')::date));
        END IF;
    END LOOP;
END $$;
CREATE TABLE journal_parts (first_month date NOT NULL);
INSERT INTO journal_parts VALUES ((date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month')::date);
DO $$
BEGIN
    EXECUTE format('WITH moved AS (DELETE FROM exchange_before WHERE id >= %L RETURNING *) INSERT INTO exchange_other SELECT * FROM moved',
        (SELECT first_id_of(first_month) FROM journal_parts));
    EXECUTE format('ALTER TABLE exchange ATTACH PARTITION exchange_before FOR VALUES FROM (MINVALUE) TO (%L)',
        (SELECT first_id_of(first_month) FROM journal_parts));
END $$;
SELECT ensure_journal_parts();

-- Each day's chain: a record that is changed, taken out or put in does not fit any more. A finished day is signed together with the one before.
CREATE TABLE journal_day (
    day date PRIMARY KEY,
    count bigint NOT NULL,
    link bytea NOT NULL,
    signature bytea,
    dropped_at timestamptz
);
