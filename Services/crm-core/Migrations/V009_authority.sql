-- Several bases may tell of one order: whether each shipment comes as a document is known apart from payments, and what another base is authoritative
-- for is seen and not counted.
ALTER TABLE sales_order ADD COLUMN tells_shipments boolean;
ALTER TABLE document ADD COLUMN counts boolean NOT NULL DEFAULT true;

-- All differences that a comparison has found, of which the first are kept, and how old what each base told was.
ALTER TABLE reconciliation_run ADD COLUMN found bigint, ADD COLUMN sources jsonb NOT NULL DEFAULT '[]';
UPDATE reconciliation_run SET found = jsonb_array_length(differences);
ALTER TABLE reconciliation_run ALTER COLUMN found SET NOT NULL;

-- Who owns a client's fields, where a person has said otherwise than the rule; and writes that were refused because the data are another's.
CREATE TABLE data_owner (
    field text PRIMARY KEY CHECK (field IN ('name', 'inn', 'kpp')),
    owner text NOT NULL CHECK (owner IN ('crm', 'onec', 'both')),
    by_whom text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE refused_write (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    by_whom text NOT NULL,
    data text NOT NULL,
    subject text NOT NULL,
    value text,
    reason text NOT NULL
);

-- What a card of 1C's was before, by its own history.
ALTER TABLE onec_card ADD COLUMN history jsonb NOT NULL DEFAULT '[]';

-- Opens the document where it is kept.
ALTER TABLE document ADD COLUMN link text;

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
