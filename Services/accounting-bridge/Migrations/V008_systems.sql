-- Systems that the bridge talks to by itself: an order is `sending` while it is given, `doubtful` when the answer did not come.
ALTER TABLE order_out DROP CONSTRAINT order_out_state_check;
ALTER TABLE order_out
    ADD CONSTRAINT order_out_state_check CHECK (state IN ('ready', 'sending', 'doubtful', 'sent', 'refused')),
    ADD COLUMN attempts int NOT NULL DEFAULT 0,
    -- Since when it is in doubt, for so long the system may still be busy with it; and when it was last looked for.
    ADD COLUMN doubtful_since timestamptz,
    ADD COLUMN looked_up_at timestamptz,
    ADD COLUMN looks int NOT NULL DEFAULT 0,
    -- Times in a row that giving it met a system that did not work; and since when it waits, if a person has let it go again.
    ADD COLUMN setbacks int NOT NULL DEFAULT 0,
    ADD COLUMN ready_since timestamptz,
    -- When its state is asked for next, and when it last had news.
    ADD COLUMN ask_at timestamptz,
    ADD COLUMN news_at timestamptz;
DROP INDEX order_out_ready;
CREATE INDEX order_out_waiting ON order_out (base, requested_at, number) WHERE state IN ('ready', 'sending', 'doubtful');
CREATE INDEX order_out_ask ON order_out (base, ask_at) WHERE ask_at IS NOT NULL;

-- Each thing that is wrong with a base is said, and its end is said, apart from the others.
CREATE TABLE base_alarm (
    base text NOT NULL,
    kind text NOT NULL,
    cause text NOT NULL,
    cause_id uuid NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (base, kind)
);
INSERT INTO base_alarm (base, kind, cause, cause_id, since)
    SELECT base, 'orders', failing_cause, failing_id, coalesce(failing_since, now()) FROM base_state
    WHERE failing_id IS NOT NULL AND failing_cause IS NOT NULL;
ALTER TABLE base_state
    DROP COLUMN failing_cause, DROP COLUMN failing_id, DROP COLUMN failing_since,
    -- The breaker: failures in a row, and until when nothing is tried.
    ADD COLUMN failures int NOT NULL DEFAULT 0,
    ADD COLUMN closed_until timestamptz,
    -- Documents that a blind second sending would have made twice.
    ADD COLUMN duplicates_prevented bigint NOT NULL DEFAULT 0,
    -- What giving it one order takes, as a moving average.
    ADD COLUMN send_seconds double precision,
    -- The session that we have there: it holds a licence.
    ADD COLUMN session_cookie text,
    -- When all that it told was last read.
    ADD COLUMN last_read timestamptz,
    -- Where the reading of all cards goes on, and when it last came to its end.
    ADD COLUMN clients_place bigint,
    ADD COLUMN clients_read_at timestamptz,
    -- When a person last let it go on.
    ADD COLUMN resumed_at timestamptz,
    -- What stands in the mark of its folder: a folder without it is not the one that was set up.
    ADD COLUMN folder_mark text;

ALTER TABLE parked_document DROP CONSTRAINT parked_document_kind_check;
ALTER TABLE parked_document
    ADD CONSTRAINT parked_document_kind_check CHECK (kind IN ('document', 'file', 'catalog', 'report'));
ALTER TABLE exchange_replay_item DROP CONSTRAINT exchange_replay_item_kind_check;
ALTER TABLE exchange_replay_item
    ADD CONSTRAINT exchange_replay_item_kind_check CHECK (kind IN ('order', 'document', 'file', 'catalog', 'report'));

-- Which card of a base is which client of ours: neither ever has two.
CREATE TABLE counterparty_link (
    base text NOT NULL,
    client_id uuid NOT NULL,
    onec_id text NOT NULL,
    rule text NOT NULL,
    by_whom text,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (base, client_id),
    CONSTRAINT counterparty_link_once UNIQUE (base, onec_id)
);
-- The cards as the bases tell them; whose they are the CRM decides.
CREATE TABLE counterparty_card (
    base text NOT NULL,
    onec_id text NOT NULL,
    name text NOT NULL,
    full_name text,
    inn text,
    kpp text,
    is_deleted boolean NOT NULL,
    exchange_id uuid NOT NULL,
    as_of timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (base, onec_id)
);
-- Links that a person has undone: no rule makes them again.
CREATE TABLE counterparty_unlinked (
    base text NOT NULL,
    client_id uuid NOT NULL,
    onec_id text NOT NULL,
    PRIMARY KEY (base, client_id, onec_id)
);

-- What has changed about documents since they were first told.
CREATE TABLE told_change (
    id uuid PRIMARY KEY,
    order_number text NOT NULL,
    base text NOT NULL,
    kind text NOT NULL,
    onec_id text NOT NULL,
    number text,
    day date,
    words text NOT NULL,
    -- The document is one of the past.
    is_late boolean NOT NULL,
    exchange_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX told_change_by_order ON told_change (order_number, id);
CREATE INDEX told_change_late ON told_change (id) WHERE is_late;
