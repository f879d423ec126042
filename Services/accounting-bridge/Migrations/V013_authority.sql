-- What other bases than the order's tell of it: «Бухгалтерия» keeps the money of orders that another base has.
CREATE TABLE order_books (
    order_id uuid NOT NULL REFERENCES order_out,
    base text NOT NULL,
    report_digest bytea,
    -- The exchange that told its present state.
    told_by uuid,
    -- When it is asked for next, and when it last had news; null: it is not asked for any more.
    ask_at timestamptz DEFAULT now(),
    news_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, base)
);
CREATE INDEX order_books_ask ON order_books (base, ask_at) WHERE ask_at IS NOT NULL;

-- Other bases name an order by the key that its own has for it, which may be of any length.
CREATE INDEX order_out_by_onec_id ON order_out USING hash (onec_id);

-- Whose word counts, as it was when what was told was last marked by it: after a change of the settings it is marked anew.
CREATE TABLE book_authority (
    is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),
    keepers jsonb NOT NULL
);

-- Objects of EnterpriseData that a base which keeps others' documents has told by keys that are nobody's yet: the order may come, or be told of, later.
CREATE TABLE told_stranger (
    base text NOT NULL,
    key uuid NOT NULL,
    object_id uuid NOT NULL,
    exchange_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (base, key, object_id)
);
CREATE INDEX told_stranger_by_key ON told_stranger (key);
CREATE INDEX told_stranger_by_object ON told_stranger (base, object_id);
