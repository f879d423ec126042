-- What stands aside is said once for each cause: which causes were told, and when.
ALTER TABLE base_alarm ADD COLUMN told jsonb NOT NULL DEFAULT '{}';

ALTER TABLE order_out ADD COLUMN refused_at timestamptz;
UPDATE order_out SET refused_at = now() WHERE state = 'refused';
CREATE INDEX order_out_refused ON order_out (base, refused_at) WHERE state = 'refused';

-- An order that its base had taken and has lost may be done again, too.
ALTER TABLE exchange_replay_item DROP CONSTRAINT exchange_replay_item_kind_check;
ALTER TABLE exchange_replay_item
    ADD CONSTRAINT exchange_replay_item_kind_check CHECK (kind IN ('order', 'document', 'file', 'catalog', 'report', 'sent'));

-- A file of orders that is stored and not yet read: its answer was cut off. It is read by itself, however this service ended.
ALTER TABLE onec_file DROP CONSTRAINT onec_file_state_check;
ALTER TABLE onec_file ADD CONSTRAINT onec_file_state_check CHECK (state IN ('unread', 'growing', 'queued', 'done', 'parked'));
ALTER TABLE onec_file ADD COLUMN touched_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX onec_file_open ON onec_file (touched_at) WHERE state IN ('unread', 'growing');

-- What a person has put away of an order does not come back each time a system that is asked tells it again.
ALTER TABLE parked_document ADD COLUMN is_dismissed boolean NOT NULL DEFAULT false;
