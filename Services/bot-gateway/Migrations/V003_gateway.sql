-- Everything that came from outside, as it came, before anything is understood.
CREATE TABLE incoming (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection text NOT NULL,
    -- Telegram's update_id, or conversation and message of the messages API; NULL: not understood.
    dedupe_key text,
    received_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done', 'kept', 'parked')),
    reason text,
    body bytea NOT NULL,
    CONSTRAINT incoming_once UNIQUE (connection, dedupe_key)
);
CREATE INDEX incoming_new ON incoming (id) WHERE state = 'new';
CREATE INDEX incoming_parked ON incoming (id) WHERE state = 'parked';

-- How far a polled bot has been read: the update after the last durable one.
CREATE TABLE poll_offset (bot text PRIMARY KEY, next_update bigint NOT NULL);

CREATE TABLE conversation (
    id uuid PRIMARY KEY,
    connection text NOT NULL,
    -- The channel's own name of the talk: Telegram's chat id.
    external_id text NOT NULL,
    is_telegram boolean NOT NULL,
    sender jsonb NOT NULL DEFAULT '{}',
    journey_id uuid NOT NULL,
    journey_open boolean NOT NULL DEFAULT true,
    first_touch jsonb,
    last_touch jsonb,
    -- The event that the next one of this talk answers.
    last_event uuid,
    held_by text,
    -- Since when the client waits for an answer.
    waiting_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT conversation_once UNIQUE (connection, external_id)
);
CREATE INDEX conversation_by_journey ON conversation (journey_id);

CREATE TABLE message (
    id uuid PRIMARY KEY,
    conversation_id uuid NOT NULL REFERENCES conversation,
    journey_id uuid NOT NULL,
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    author text NOT NULL CHECK (author IN ('client', 'bot', 'manager')),
    external_id text,
    text text NOT NULL,
    state text NOT NULL DEFAULT 'received',
    sent_at timestamptz NOT NULL,
    CONSTRAINT message_once UNIQUE (conversation_id, external_id)
);
CREATE INDEX message_by_conversation ON message (conversation_id, sent_at, id);

-- A questionnaire under way; the flow's text is copied, so that an edited flow does not break it.
CREATE TABLE flow_session (
    conversation_id uuid PRIMARY KEY REFERENCES conversation,
    flow jsonb NOT NULL,
    step int NOT NULL DEFAULT 0,
    answers jsonb NOT NULL DEFAULT '{}',
    phone_confirmed boolean NOT NULL DEFAULT false,
    consent_at timestamptz,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete', 'abandoned')),
    touched_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX flow_session_open ON flow_session (touched_at) WHERE state = 'open';

-- What is to be said outside. `sending` is written before the request leaves: whoever finds it after a crash
-- knows that the outcome is unknown and does not repeat it.
CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    connection text NOT NULL,
    chat text NOT NULL,
    conversation_id uuid REFERENCES conversation,
    method text NOT NULL,
    payload bytea NOT NULL,
    author text NOT NULL,
    text text NOT NULL,
    cause uuid,
    correlation uuid,
    by_whom text,
    state text NOT NULL DEFAULT 'ready'
        CHECK (state IN ('ready', 'sending', 'sent', 'failed', 'unknown')),
    attempts int NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT now(),
    waiting_since timestamptz,
    reason text,
    position bigint GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_ready ON outbox (connection, position) WHERE state IN ('ready', 'sending');
