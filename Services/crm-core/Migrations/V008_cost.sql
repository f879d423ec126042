-- What the goods of an order have brought and cost, as the books tell it; null where they do not.
ALTER TABLE sales_order ADD COLUMN revenue_minor bigint, ADD COLUMN cost_minor bigint;
