-- What is old enough to be given up is found without reading the rest. Rows come in the order of their time, so a summary of every few
-- pages does.
CREATE INDEX incoming_by_time ON incoming USING brin (received_at) WITH (autosummarize = on);
CREATE INDEX outbox_by_time ON outbox USING brin (created_at) WITH (autosummarize = on);
