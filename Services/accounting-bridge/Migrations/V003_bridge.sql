-- Every request and answer, raw, before anything is understood.
CREATE TABLE exchange (
    id uuid PRIMARY KEY,
    base text,
    session uuid,
    at timestamptz NOT NULL DEFAULT now(),
    direction text NOT NULL DEFAULT 'in',
    kind text NOT NULL,
    method text NOT NULL,
    target text NOT NULL,
    request bytea NOT NULL,
    answered_at timestamptz,
    status int,
    answer bytea,
    result text NOT NULL DEFAULT 'open' CHECK (result IN ('open', 'ok', 'refused', 'failed', 'parked')),
    reason text,
    understood jsonb NOT NULL DEFAULT '[]',
    journeys uuid[] NOT NULL DEFAULT '{}'
);
CREATE INDEX exchange_by_base ON exchange (base, id);
CREATE INDEX exchange_by_journey ON exchange USING gin (journeys);

CREATE TABLE base_state (
    base text PRIMARY KEY,
    tells_payments boolean NOT NULL DEFAULT false,
    last_contact timestamptz,
    last_success timestamptz,
    paused_by text,
    failing_cause text,
    failing_id uuid,
    failing_since timestamptz,
    -- Orders of one answer at most; halved when 1C did not say that it had taken them.
    batch_limit int NOT NULL DEFAULT 50
);

CREATE TABLE onec_session (
    id uuid PRIMARY KEY,
    base text NOT NULL,
    type text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    -- What this session was given; a repeated query gets the same.
    batch uuid[],
    acknowledged boolean NOT NULL DEFAULT false
);
CREATE INDEX onec_session_latest ON onec_session (base, started_at DESC);

-- Pieces of a file as they came; the same name again within a session is the next piece.
CREATE TABLE file_piece (
    session uuid NOT NULL,
    filename text NOT NULL,
    position int NOT NULL,
    exchange_id uuid NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (session, filename, position)
);
CREATE TABLE onec_file (
    session uuid NOT NULL,
    filename text NOT NULL,
    state text NOT NULL CHECK (state IN ('growing', 'done', 'parked')),
    reason text,
    PRIMARY KEY (session, filename)
);

CREATE TABLE order_out (
    id uuid PRIMARY KEY,
    number text NOT NULL,
    base text NOT NULL,
    journey_id uuid,
    request jsonb NOT NULL,
    state text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'sent', 'refused')),
    offered int NOT NULL DEFAULT 0,
    reason text,
    requested_at timestamptz NOT NULL,
    sent_at timestamptz,
    report_digest bytea,
    onec_id text,
    last_event uuid NOT NULL,
    CONSTRAINT order_out_number_once UNIQUE (number)
);
CREATE INDEX order_out_ready ON order_out (base, requested_at) WHERE state = 'ready';

-- Documents that could not be used, with what was wrong.
CREATE TABLE parked_document (
    id uuid PRIMARY KEY,
    base text NOT NULL,
    exchange_id uuid NOT NULL,
    number text,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
