-- What the bus needs to keep its promise through forks, holes, restores, poison and time.

-- The cluster a head was numbered in, and the last id whose transaction number means nothing here: rows that came by a
-- dump carry the numbers of another cluster.
ALTER TABLE stream_head ADD COLUMN system_identifier bigint;
ALTER TABLE stream_head ADD COLUMN rebased_id bigint NOT NULL DEFAULT 0;

-- The link before a day's first event: what is dropped below it can still be checked against.
ALTER TABLE day_range ADD COLUMN before bytea CHECK (octet_length(before) = 16);
UPDATE day_range AS d SET before = coalesce(
    (SELECT link FROM event_no AS n WHERE n.stream = d.stream AND n.lane = d.lane AND n.seq = d.first - 1),
    '\x00000000000000000000000000000000');

-- A stream that a person has paused. The link of each copy, so that the last common event of a fork can be found.
ALTER TABLE subscription_cursor ADD COLUMN paused_by text;
ALTER TABLE inbox ADD COLUMN link bytea CHECK (octet_length(link) = 16);

-- Copies beyond the last event that a forked publisher and we have in common. Their effects stand: when a heal brings
-- them again they are taken without being done twice.
CREATE TABLE forked_copy (
    publisher text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL,
    seq bigint NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,
    body bytea NOT NULL,
    decision uuid NOT NULL,
    PRIMARY KEY (publisher, stream, lane, event_id)
);

-- Written before an event is handled alone: an event that kills the process is found by it.
CREATE TABLE handling (
    publisher text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL,
    seq bigint NOT NULL,
    attempts int NOT NULL,
    PRIMARY KEY (publisher, stream, lane)
) WITH (fillfactor = 20);

-- What a person decided about the bus, and what came of it. Insert-only.
CREATE TABLE bus_decision (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    by_whom text NOT NULL,
    what text NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    outcome text NOT NULL
);

-- How far subscribers are with our streams, as they last said: retention asks it.
CREATE TABLE subscriber_position (
    subscriber text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL,
    seq bigint NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subscriber, stream, lane)
) WITH (fillfactor = 20);

-- A finished day of a stream, sealed: what was numbered on it, signed with the service's own key.
CREATE TABLE segment (
    stream text NOT NULL,
    lane text NOT NULL,
    day date NOT NULL,
    count bigint NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    link bytea NOT NULL CHECK (octet_length(link) = 16),
    signature bytea NOT NULL CHECK (octet_length(signature) = 64),
    sealed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, lane, day)
);

-- A replay: a list frozen when it was planned, looked at before it is applied, and kept as its own record.
CREATE TABLE replay (
    id uuid PRIMARY KEY,
    planned_at timestamptz NOT NULL DEFAULT now(),
    planned_by text NOT NULL,
    filter text NOT NULL,
    state text NOT NULL CHECK (state IN ('planned', 'applying', 'applied', 'cancelled')),
    preview text,
    applied_by text,
    applied_at timestamptz
);
CREATE TABLE replay_item (
    replay_id uuid NOT NULL REFERENCES replay,
    place int NOT NULL,
    source text NOT NULL CHECK (source IN ('parked', 'taken')),
    publisher text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL,
    seq bigint NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    key text NOT NULL,
    correlation uuid,
    at timestamptz NOT NULL,
    -- The bytes that are handled: those that came, or a changed message that supersedes them.
    body bytea NOT NULL,
    supersedes uuid,
    outcome text NOT NULL DEFAULT 'waiting' CHECK (outcome IN ('waiting', 'done', 'failed', 'cancelled')),
    reason text,
    done_at timestamptz,
    PRIMARY KEY (replay_id, place)
);

-- What was parked stays to be seen after it was done.
ALTER TABLE parked ADD COLUMN settled_at timestamptz;
ALTER TABLE parked ADD COLUMN settled_by uuid REFERENCES replay;
CREATE INDEX parked_waiting ON parked (parked_at) WHERE settled_at IS NULL;

-- A partition is made beside its table and then attached: the table itself is never locked against readers and writers,
-- as it is while PARTITION OF makes one.
CREATE OR REPLACE FUNCTION ensure_partitions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child text;
    wanted date;
BEGIN
    FOREACH parent IN ARRAY ARRAY['event', 'event_no', 'inbox'] LOOP
        FOR offset_days IN -1..2 LOOP
            wanted := (now() AT TIME ZONE 'UTC')::date + offset_days;
            child := parent || '_' || to_char(wanted, 'YYYYMMDD');
            IF to_regclass(format('%I', child)) IS NULL THEN
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    parent, child, wanted, wanted + 1);
            END IF;
        END LOOP;
    END LOOP;
END $$;
