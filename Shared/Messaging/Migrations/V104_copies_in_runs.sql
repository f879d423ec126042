-- Copies of what was taken, a batch in one row: a row for each cost as much as the effect it stood beside. Decision 0013.
CREATE TABLE inbox_run (
    day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    publisher text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    event_ids uuid[] NOT NULL,
    types text[] NOT NULL,
    ats timestamptz[] NOT NULL,
    links bytea[] NOT NULL,
    bodies bytea[] NOT NULL,
    PRIMARY KEY (first, publisher, stream, lane, day),
    CONSTRAINT inbox_run_is_whole CHECK (last >= first AND last - first < 500 AND cardinality(event_ids) = last - first + 1
        AND cardinality(types) = last - first + 1 AND cardinality(ats) = last - first + 1
        AND cardinality(links) = last - first + 1 AND cardinality(bodies) = last - first + 1)
) PARTITION BY RANGE (day);

-- Bodies of one batch are much alike. A server built without lz4 keeps its own way.
DO $$
BEGIN
    ALTER TABLE inbox_run ALTER COLUMN bodies SET COMPRESSION lz4, ALTER COLUMN types SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;

CREATE OR REPLACE FUNCTION ensure_partitions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child text;
    wanted date;
BEGIN
    FOREACH parent IN ARRAY ARRAY['event', 'event_run', 'inbox_run'] LOOP
        FOR offset_days IN -1..2 LOOP
            wanted := (now() AT TIME ZONE 'UTC')::date + offset_days;
            child := parent || '_' || to_char(wanted, 'YYYYMMDD');
            IF to_regclass(format('%I', child)) IS NULL THEN
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE '
                    'INCLUDING COMPRESSION)', child, parent);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    parent, child, wanted, wanted + 1);
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- What was kept before moves over, with a partition for each of its days.
DO $$
DECLARE
    old date;
BEGIN
    FOR old IN SELECT DISTINCT day FROM inbox LOOP
        EXECUTE format('CREATE TABLE %I (LIKE inbox_run INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE '
            'INCLUDING COMPRESSION)', 'inbox_run_' || to_char(old, 'YYYYMMDD'));
        EXECUTE format('ALTER TABLE inbox_run ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            'inbox_run_' || to_char(old, 'YYYYMMDD'), old, old + 1);
    END LOOP;
END $$;
-- It is as large as the log: the time-out of a migration's statement is no measure of it.
SET LOCAL statement_timeout = 0;
INSERT INTO inbox_run (day, publisher, stream, lane, first, last, event_ids, types, ats, links, bodies)
SELECT day, publisher, stream, lane, min(seq), max(seq), array_agg(event_id ORDER BY seq), array_agg(type ORDER BY seq),
    array_agg(at ORDER BY seq), array_agg(link ORDER BY seq), array_agg(body ORDER BY seq)
FROM (SELECT *, seq - row_number() OVER (PARTITION BY day, publisher, stream, lane ORDER BY seq) AS island FROM inbox) AS i
GROUP BY day, publisher, stream, lane, island, seq / 100;
DROP TABLE inbox;
SELECT ensure_partitions();

-- Copy by copy, for reading. Give `first` and `last` bounds too, or every run is opened.
CREATE VIEW inbox AS
SELECT r.day, r.publisher, r.stream, r.lane, r.first, r.last, r.first + c.place - 1 AS seq, c.event_id, c.type, c.at, c.link, c.body
FROM inbox_run AS r
CROSS JOIN LATERAL unnest(r.event_ids, r.types, r.ats, r.links, r.bodies)
    WITH ORDINALITY AS c (event_id, type, at, link, body, place);

-- The next copies of one sequence, `wanted` at most, from `start` on. Only the runs that hold them are opened.
CREATE FUNCTION inbox_page(of_publisher text, of_stream text, of_lane text, start bigint, wanted bigint)
RETURNS TABLE (seq bigint, event_id uuid, type text, at timestamptz, link bytea, body bytea) LANGUAGE sql STABLE AS $$
    SELECT r.first + c.place - 1 AS seq, c.event_id, c.type, c.at, c.link, c.body
    FROM (
        SELECT *, sum(last - greatest(first, start) + 1) OVER (ORDER BY first)
            - (last - greatest(first, start) + 1) AS before
        FROM inbox_run WHERE (publisher, stream, lane) = (of_publisher, of_stream, of_lane)
            AND first > start - 500 AND last >= start
        ORDER BY first LIMIT wanted
    ) AS r
    CROSS JOIN LATERAL unnest(r.event_ids, r.types, r.ats, r.links, r.bodies)
        WITH ORDINALITY AS c (event_id, type, at, link, body, place)
    WHERE r.before < wanted AND r.first + c.place - 1 >= start
    ORDER BY seq LIMIT wanted
$$;
