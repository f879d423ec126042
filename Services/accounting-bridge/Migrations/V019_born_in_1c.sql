-- Orders that were made in 1C itself, and asked for by nobody.
ALTER TABLE order_out ADD COLUMN origin text NOT NULL DEFAULT 'crm' CHECK (origin IN ('crm', 'onec'));
CREATE INDEX order_out_born_by_card ON order_out (base, (request #>> '{counterparty,card}')) WHERE origin = 'onec';

-- Those who compare what three sides tell need one order of numbers, and not every cluster's alphabet is the same.
CREATE INDEX order_out_by_number ON order_out (number COLLATE "C");

-- Where the looking for such orders goes on in a base that does not tell them by itself, and when it last came to its end, over a month and over all.
ALTER TABLE base_state
    ADD COLUMN born_place text,
    ADD COLUMN born_from date,
    ADD COLUMN born_looked_at timestamptz,
    ADD COLUMN born_looked_whole_at timestamptz;
