-- Times that a message of a replay was begun, by as many processes: one that ends each of them is found by it.
ALTER TABLE replay_item ADD COLUMN attempts int NOT NULL DEFAULT 0;
