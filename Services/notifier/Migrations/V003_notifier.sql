-- Members of staff as crm-core last told of them.
CREATE TABLE recipient (
    user_id uuid PRIMARY KEY,
    name text NOT NULL,
    roles text[] NOT NULL,
    email text,
    active boolean NOT NULL
);

CREATE TABLE notification (
    id uuid PRIMARY KEY,
    dedupe_key text NOT NULL,
    template text NOT NULL,
    recipient text NOT NULL,
    email text,
    subject text NOT NULL,
    body text NOT NULL,
    state text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'sending', 'sent', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT now(),
    reason text,
    correlation uuid,
    cause uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notification_once UNIQUE (dedupe_key)
);
CREATE INDEX notification_due ON notification (not_before) WHERE state IN ('ready', 'sending');

-- Every attempt, with what the mail server said.
CREATE TABLE delivery (
    id uuid PRIMARY KEY,
    notification_id uuid NOT NULL REFERENCES notification,
    at timestamptz NOT NULL DEFAULT now(),
    outcome text NOT NULL,
    reason text
);
CREATE INDEX delivery_by_notification ON delivery (notification_id);
