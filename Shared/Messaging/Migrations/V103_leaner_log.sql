-- What every event costs the database, made less: measured, decision 0009.

-- The numbers that one stamping gave, in one row: a row of its own for each number cost as much as a third of the event.
CREATE TABLE event_run (
    day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    stream text NOT NULL,
    lane text NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    event_days date[] NOT NULL,
    event_ids bigint[] NOT NULL,
    links bytea[] NOT NULL,
    PRIMARY KEY (first, stream, lane, day),
    CONSTRAINT event_run_is_whole CHECK (last >= first AND cardinality(event_days) = last - first + 1
        AND cardinality(event_ids) = last - first + 1 AND cardinality(links) = last - first + 1)
) PARTITION BY RANGE (day);
ALTER TABLE event_run ALTER COLUMN event_days SET STORAGE EXTERNAL, ALTER COLUMN event_ids SET STORAGE EXTERNAL,
    ALTER COLUMN links SET STORAGE EXTERNAL;

CREATE OR REPLACE FUNCTION ensure_partitions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child text;
    wanted date;
BEGIN
    FOREACH parent IN ARRAY ARRAY['event', 'event_run', 'inbox'] LOOP
        FOR offset_days IN -1..2 LOOP
            wanted := (now() AT TIME ZONE 'UTC')::date + offset_days;
            child := parent || '_' || to_char(wanted, 'YYYYMMDD');
            IF to_regclass(format('%I', child)) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', child, parent);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    parent, child, wanted, wanted + 1);
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- The numbers that were given before move over, with a partition for each of their days.
DO $$
DECLARE
    old date;
BEGIN
    FOR old IN SELECT DISTINCT day FROM event_no LOOP
        EXECUTE format('CREATE TABLE %I (LIKE event_run INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
            'event_run_' || to_char(old, 'YYYYMMDD'));
        EXECUTE format('ALTER TABLE event_run ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            'event_run_' || to_char(old, 'YYYYMMDD'), old, old + 1);
    END LOOP;
END $$;
INSERT INTO event_run (day, stream, lane, first, last, event_days, event_ids, links)
SELECT day, stream, lane, min(seq), max(seq), array_agg(event_day ORDER BY seq), array_agg(event_id ORDER BY seq),
    array_agg(link ORDER BY seq)
FROM (SELECT *, seq - row_number() OVER (PARTITION BY day, stream, lane ORDER BY seq) AS island FROM event_no) AS n
GROUP BY day, stream, lane, island, seq / 1000;
DROP TABLE event_no;
SELECT ensure_partitions();

-- Number by number, for reading. Give `first` and `last` bounds too, or every run is opened.
CREATE VIEW event_no AS
SELECT r.day, r.stream, r.lane, r.first, r.last, r.first + n.place - 1 AS seq, n.event_day, n.event_id, n.link
FROM event_run AS r
CROSS JOIN LATERAL unnest(r.event_days, r.event_ids, r.links) WITH ORDINALITY AS n (event_day, event_id, link, place);

-- What differs stands first: an insert then compares one number, and not four texts that are always the same.
DROP INDEX event_by_transaction;
CREATE INDEX event_by_transaction ON event (xid, stream, lane);
ALTER TABLE inbox DROP CONSTRAINT inbox_pkey;
ALTER TABLE inbox ADD PRIMARY KEY (seq, publisher, stream, lane, day);

-- The process that works on the stream, until it ends in order: one that finds another here was preceded by a death, and looks
-- at each event alone.
ALTER TABLE subscription_cursor ADD COLUMN worker uuid;

-- The first statement of a batch: refuses it when the cursor is not where the subscriber believes (TL001), or when one of its
-- keys is blocked (TL002). A refusal undoes what travels behind it, so nobody has to wait for the answer.
CREATE FUNCTION begin_batch(
    from_publisher text, from_stream text, from_lane text, believed_seq bigint, believed_link bytea, keys text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM subscription_cursor AS c
    WHERE (c.publisher, c.stream, c.lane) = (from_publisher, from_stream, from_lane)
        AND c.seq = believed_seq AND c.link = believed_link FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the cursor is not at #%', believed_seq USING ERRCODE = 'TL001';
    END IF;
    PERFORM FROM blocked_key AS b
    WHERE (b.publisher, b.stream, b.lane) = (from_publisher, from_stream, from_lane) AND b.key = ANY (keys);
    IF FOUND THEN
        RAISE EXCEPTION 'a key is blocked' USING ERRCODE = 'TL002';
    END IF;
END $$;
