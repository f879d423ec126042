-- What other bases than the order's tell of it: «Бухгалтерия» keeps the money of orders that another base has.
CREATE TABLE order_books (
    order_id uuid NOT NULL REFERENCES order_out,
    base text NOT NULL,
    report_digest bytea,
    -- The exchange that told its present state.
    told_by uuid,
    -- When it is asked for next, and when it last had news; null: it is not asked for any more.
    ask_at timestamptz DEFAULT now(),
    news_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, base)
);
CREATE INDEX order_books_ask ON order_books (base, ask_at) WHERE ask_at IS NOT NULL;

-- Other bases name an order by the key that its own has for it.
-- Of any length.
CREATE INDEX order_out_by_onec_id ON order_out USING hash (onec_id);

-- Whose word counts, as it was when what was told was last marked by it: after a change of the settings it is marked anew.
CREATE TABLE book_authority (
    is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),
    keepers jsonb NOT NULL
);

-- Where the reading of all cards goes on, in the words of its driver: by key, and not by place. One that was under way begins anew.
ALTER TABLE base_state DROP COLUMN clients_place, ADD COLUMN clients_place text;

-- The day on which all orders of a base that is asked were last asked for once more.
ALTER TABLE base_state ADD COLUMN asked_anew date;

-- How the line of an order began, as the CRM told it: a person who asks after an order sees where it stopped, and how far it came.
CREATE TABLE journey_start (
    journey_id uuid PRIMARY KEY,
    lead_number bigint,
    lead_at timestamptz,
    deal_number bigint,
    deal_at timestamptz
);

-- What a card was before, by its own history (ИсторияКПП, ИсторияНаименований).
ALTER TABLE counterparty_card ADD COLUMN history jsonb;

-- An order that was taken back before the base had it.
ALTER TABLE order_out DROP CONSTRAINT order_out_state_check;
ALTER TABLE order_out
    ADD CONSTRAINT order_out_state_check CHECK (state IN ('ready', 'sending', 'doubtful', 'sent', 'refused', 'withdrawn'));
CREATE INDEX onec_session_by_order ON onec_session USING gin (batch);

-- What goods were called before: 1C tells only what they are now (ONEC-15).
CREATE TABLE good_change (
    base text NOT NULL,
    good_id text NOT NULL,
    field text NOT NULL,
    old_value text,
    new_value text,
    at timestamptz NOT NULL
);
CREATE INDEX good_change_by_good ON good_change (base, good_id, at);

-- Objects of EnterpriseData that a base which keeps others' documents has told by keys that are nobody's yet: the order may come, or be told of, later.
CREATE TABLE told_stranger (
    base text NOT NULL,
    key uuid NOT NULL,
    object_id uuid NOT NULL,
    exchange_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (base, key, object_id)
);
CREATE INDEX told_stranger_by_key ON told_stranger (key);
CREATE INDEX told_stranger_by_object ON told_stranger (base, object_id);
