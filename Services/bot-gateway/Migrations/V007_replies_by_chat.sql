-- The first reply of each chat is found from chat to chat: one with hundreds of them holds nobody else up.
CREATE INDEX outbox_by_chat ON outbox (connection, chat, position) WHERE state = 'ready';

-- Answers to a POST with an Idempotency-Key, for a week.
CREATE TABLE idempotency (
    caller text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    status int NOT NULL,
    body bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, route, key)
);
