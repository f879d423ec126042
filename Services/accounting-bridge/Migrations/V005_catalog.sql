-- The bytes of a piece are in the journal; they are not kept twice.
ALTER TABLE file_piece ADD COLUMN size int NOT NULL DEFAULT 0;
UPDATE file_piece SET size = octet_length(body);
ALTER TABLE file_piece DROP COLUMN body;

ALTER TABLE onec_session
    ADD COLUMN was_opened boolean NOT NULL DEFAULT false;

ALTER TABLE onec_file DROP CONSTRAINT onec_file_state_check;
ALTER TABLE onec_file
    ADD CONSTRAINT onec_file_state_check CHECK (state IN ('growing', 'queued', 'done', 'parked')),
    ADD COLUMN exchange_id uuid,
    -- The archive that it stands in, when it was not sent by itself.
    ADD COLUMN archive text,
    ADD COLUMN understood jsonb NOT NULL DEFAULT '[]',
    -- Times that reading it has begun: one that kills the process is set aside.
    ADD COLUMN begun int NOT NULL DEFAULT 0,
    ADD COLUMN queued_at timestamptz;
CREATE INDEX onec_file_queued ON onec_file (queued_at) WHERE state = 'queued';

-- What 1C's catalogs tell; copies of 1C's, by base and 1C's id.
CREATE TABLE catalog_group (
    base text NOT NULL, id text NOT NULL, parent text, name text NOT NULL, as_of timestamptz NOT NULL,
    PRIMARY KEY (base, id)
);
CREATE TABLE catalog_property (
    base text NOT NULL, id text NOT NULL, name text NOT NULL, as_of timestamptz NOT NULL,
    PRIMARY KEY (base, id)
);
CREATE TABLE price_type (
    base text NOT NULL, id text NOT NULL, name text NOT NULL, currency text, as_of timestamptz NOT NULL,
    PRIMARY KEY (base, id)
);
CREATE TABLE warehouse (
    base text NOT NULL, id text NOT NULL, name text NOT NULL, as_of timestamptz NOT NULL,
    PRIMARY KEY (base, id)
);
CREATE TABLE good (
    base text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    sku text,
    barcode text,
    unit text,
    description text,
    groups text[] NOT NULL,
    properties jsonb NOT NULL,
    is_deleted boolean NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (base, id)
);
CREATE INDEX good_by_sku ON good (base, lower(sku));
CREATE INDEX good_by_name ON good (base, name, id);
-- `good_id` may come before its good.
CREATE TABLE offer (
    base text NOT NULL,
    id text NOT NULL,
    good_id text NOT NULL,
    name text,
    sku text,
    barcode text,
    characteristics jsonb NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (base, id)
);
CREATE INDEX offer_by_good ON offer (base, good_id);
CREATE TABLE offer_price (
    base text NOT NULL,
    offer_id text NOT NULL,
    price_type text NOT NULL,
    amount numeric(19, 4) NOT NULL,
    currency text,
    unit text,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (base, offer_id, price_type)
);
-- An empty warehouse: all of them together.
CREATE TABLE offer_stock (
    base text NOT NULL,
    offer_id text NOT NULL,
    warehouse text NOT NULL,
    quantity numeric(19, 4) NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (base, offer_id, warehouse)
);
