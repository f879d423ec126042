-- How an order is paid, and what is owed for it where that is known: a deal shows it without reading all documents of its orders.
ALTER TABLE sales_order ADD COLUMN payment text, ADD COLUMN owed_minor bigint;
CREATE INDEX sales_order_payment_unsaid ON sales_order (id) WHERE payment IS NULL;
