-- The last message of changes that was asked of a base's exchange plan over OData, and the orders that a changed document is told of.
ALTER TABLE base_state ADD COLUMN changes_no bigint NOT NULL DEFAULT 0;
CREATE INDEX order_out_by_document ON order_out USING gin (told_documents jsonb_path_ops);

-- The exchange by EnterpriseData: a base's node, what we have for it, and what it has told of our orders.
CREATE TABLE exchange_node (
    base text PRIMARY KEY,
    -- Our last message, the last of ours that the base confirmed, the last of the base's that we have taken.
    sent_no bigint NOT NULL DEFAULT 0,
    confirmed_no bigint NOT NULL DEFAULT 0,
    received_no bigint NOT NULL DEFAULT 0,
    -- The message that lies in the folder whole, when, and what it confirms.
    written_no bigint NOT NULL DEFAULT 0,
    written_at timestamptz,
    told_received_no bigint NOT NULL DEFAULT -1,
    -- What the message that lies in the folder confirms: less than the above where nothing had to be answered since.
    lying_received_no bigint NOT NULL DEFAULT -1,
    -- When the base wrote its last message, by its own word.
    received_made text NOT NULL DEFAULT '',
    -- SHA-256 of the message that was taken last.
    received_digest bytea,
    -- What the base has said of itself; null before its first message.
    version text,
    sends text[] NOT NULL DEFAULT '{}',
    takes text[] NOT NULL DEFAULT '{}',
    CONSTRAINT exchange_node_numbers CHECK (least(sent_no, confirmed_no, received_no, written_no) >= 0 AND greatest(confirmed_no, written_no) <= sent_no)
);

-- What of ours a base had taken when it wrote each of its messages: after a restore of it this tells what it has lost.
CREATE TABLE exchange_confirmation (
    base text NOT NULL,
    message_no bigint NOT NULL,
    confirmed_no bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (base, message_no)
);

-- Objects go into every message until the base confirms one that has them; they stay, for a base restored from a backup needs them again.
CREATE TABLE registered_order (
    base text NOT NULL,
    order_id uuid NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY,
    number text NOT NULL,
    currency text NOT NULL,
    objects text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    -- The first message that it went in; null before.
    sent_no bigint,
    PRIMARY KEY (base, order_id)
);
CREATE INDEX registered_order_by_message ON registered_order (base, coalesce(sent_no, 9223372036854775807), place);
CREATE INDEX registered_order_by_time ON registered_order (base, registered_at);

-- The base's objects that name our orders, as they came, and which of our orders each names.
CREATE TABLE told_object (
    base text NOT NULL,
    object_id uuid NOT NULL,
    kind text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (base, object_id)
);
CREATE TABLE told_link (
    base text NOT NULL,
    object_id uuid NOT NULL,
    order_id uuid NOT NULL,
    -- The object is deleted, or does not name the order any more.
    is_gone boolean NOT NULL DEFAULT false,
    exchange_id uuid NOT NULL,
    PRIMARY KEY (base, object_id, order_id)
);
CREATE INDEX told_link_by_order ON told_link (base, order_id);
