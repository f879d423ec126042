-- After a fork was settled a number may come again with another event: each of them can be set aside.
ALTER TABLE parked DROP CONSTRAINT parked_once;
ALTER TABLE parked ADD CONSTRAINT parked_once UNIQUE (publisher, stream, lane, seq, id);
