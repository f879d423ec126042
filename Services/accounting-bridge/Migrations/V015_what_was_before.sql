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
