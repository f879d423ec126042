-- What has passed between this service and each outside system it speaks to: as it stands, and by the hour.
CREATE TABLE connector (
    kind text NOT NULL,
    name text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    tried_at timestamptz NOT NULL,
    succeeded_at timestamptz,
    -- Why the last try came to nothing, and since when each does; null when it did not.
    trouble text,
    trouble_since timestamptz,
    PRIMARY KEY (kind, name, direction)
);
CREATE TABLE connector_hour (
    kind text NOT NULL,
    name text NOT NULL,
    direction text NOT NULL,
    hour timestamptz NOT NULL,
    attempts bigint NOT NULL,
    troubles bigint NOT NULL,
    PRIMARY KEY (kind, name, direction, hour)
);
