-- Changes that were asked for orders: asked, then taken or refused.
CREATE TABLE order_change (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES sales_order,
    kind text NOT NULL CHECK (kind IN ('cancel', 'revision')),
    state text NOT NULL CHECK (state IN ('asked', 'taken', 'refused')),
    reason text,
    lines jsonb,
    total_minor bigint,
    by_whom text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz
);
CREATE INDEX order_change_by_order ON order_change (order_id, id);
