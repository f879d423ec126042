-- Which orders an exchange is about.
ALTER TABLE exchange ADD COLUMN orders text[] NOT NULL DEFAULT '{}';
CREATE INDEX exchange_by_order ON exchange USING gin (orders);
CREATE INDEX exchange_by_result ON exchange (result, id) WHERE result <> 'ok';

ALTER TABLE order_out
    ADD COLUMN told_posted boolean,
    ADD COLUMN client text GENERATED ALWAYS AS (request #>> '{counterparty,name}') STORED;

-- Where it stands, so that it can be read again, and how it was settled.
ALTER TABLE parked_document
    ADD COLUMN kind text NOT NULL DEFAULT 'document' CHECK (kind IN ('document', 'file', 'catalog')),
    ADD COLUMN session uuid,
    ADD COLUMN filename text,
    ADD COLUMN settled_at timestamptz,
    ADD COLUMN settled_by text;
CREATE INDEX parked_document_open ON parked_document (base, number) WHERE settled_at IS NULL;

-- What was set aside between the bridge and 1C, done again: a frozen list, previewed, then exactly it.
CREATE TABLE exchange_replay (
    id uuid PRIMARY KEY,
    planned_at timestamptz NOT NULL DEFAULT now(),
    planned_by text NOT NULL,
    filter jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('planned', 'applying', 'applied', 'cancelled')),
    applied_by text,
    applied_at timestamptz,
    preview jsonb
);
CREATE TABLE exchange_replay_item (
    replay_id uuid NOT NULL REFERENCES exchange_replay,
    place int NOT NULL,
    kind text NOT NULL CHECK (kind IN ('order', 'document', 'file', 'catalog')),
    ref uuid NOT NULL,
    base text NOT NULL,
    number text,
    journey_id uuid,
    at timestamptz NOT NULL,
    outcome text NOT NULL DEFAULT 'waiting' CHECK (outcome IN ('waiting', 'done', 'failed', 'cancelled')),
    reason text,
    PRIMARY KEY (replay_id, place)
);
