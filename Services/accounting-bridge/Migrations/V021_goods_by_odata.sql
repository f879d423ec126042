-- Goods of bases that are asked for them: where the reading of all of them goes on, and when it last came to its end.
ALTER TABLE base_state ADD COLUMN goods_place text, ADD COLUMN goods_read_at timestamptz;

-- Who renamed a good (ONEC-15), as it is kept of documents (V020).
ALTER TABLE good_change
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    ADD COLUMN since timestamptz,
    ADD COLUMN by_whom text,
    ADD COLUMN by_whom_at text,
    ADD COLUMN by_whom_unknown text;
CREATE INDEX good_change_unasked ON good_change (base, at) WHERE by_whom IS NULL AND by_whom_unknown IS NULL;
CREATE INDEX good_change_newest ON good_change (at, id);
