-- Orders that were made in 1C: they have its number, its client's card, and no deal until a person says whose they are.
ALTER TABLE sales_order DROP CONSTRAINT sales_order_number_check;
ALTER TABLE sales_order
    ADD CONSTRAINT sales_order_number_check CHECK (origin = 'onec' OR number ~ '^[0-9]{1,11}$'),
    ADD CONSTRAINT sales_order_origin_check CHECK (origin IN ('crm', 'onec')),
    ADD COLUMN card_id text;
CREATE INDEX sales_order_by_card ON sales_order (base, card_id) WHERE card_id IS NOT NULL;
CREATE INDEX sales_order_born ON sales_order (id) WHERE origin = 'onec';
CREATE INDEX sales_order_unlinked ON sales_order (created_at DESC, id) WHERE origin = 'onec' AND deal_id IS NULL;
CREATE INDEX external_id_by_client ON external_id (client_id);

-- Those who compare what three sides tell need one order of numbers, and not every cluster's alphabet is the same.
CREATE INDEX sales_order_by_number ON sales_order (number COLLATE "C");
