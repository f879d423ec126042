-- Which good of a base an article (or a name, where there is none) of ours means, by a person's word.
CREATE TABLE good_link (
    base text NOT NULL,
    -- Article or name in small letters; see GoodLinks.key.
    key text NOT NULL,
    good_id text NOT NULL,
    good_name text NOT NULL,
    by_whom text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (base, key)
);

-- Goods of orders that nobody could tell: a person chooses among the candidates.
CREATE TABLE good_question (
    base text NOT NULL,
    key text NOT NULL,
    sku text NOT NULL,
    name text NOT NULL,
    reason text NOT NULL,
    candidates jsonb NOT NULL,
    -- Numbers of the orders that are set aside for it.
    orders text[] NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (base, key)
);
CREATE INDEX good_by_barcode ON good (base, barcode) WHERE barcode IS NOT NULL;

-- Who has read a claim's photo, or traced it once more.
ALTER TABLE payment_claim ADD COLUMN read_by text;

-- Numbers of orders that were told before they were kept apart.
UPDATE told_object SET number = substring(body FROM '<Дата>([0-9]{4})') || ' ' || substring(body FROM '<Номер>([^<]{1,100})</Номер>')
WHERE kind = 'order';

-- A message that could not be read is settled by the next that can: it is known by its name.
UPDATE parked_document SET filename = filename || ', не прочитано'
WHERE settled_at IS NULL AND kind = 'report' AND number IS NULL AND reason LIKE 'XML не читается%';
