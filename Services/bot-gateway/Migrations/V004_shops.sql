-- Shops whose orders we fetch, and how that goes.
CREATE TABLE shop_state (
    shop text PRIMARY KEY,
    tried_at timestamptz,
    succeeded_at timestamptz,
    -- Why the last try came to nothing; null when it did not.
    failure text,
    -- Tries in a row that came to nothing.
    failures int NOT NULL DEFAULT 0,
    orders bigint NOT NULL DEFAULT 0
);
