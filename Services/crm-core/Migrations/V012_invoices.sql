-- The booking that an order is for: receipts are asked for by it.
ALTER TABLE sales_order ADD COLUMN booking_id text;

-- What people have done with an order's invoice.
CREATE TABLE invoice_mark (
    order_id uuid NOT NULL REFERENCES sales_order,
    mark text NOT NULL CHECK (mark IN ('sent', 'agreed')),
    note text,
    by_whom text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, mark)
);

-- Each state of an order's invoice, and whose word made it.
CREATE TABLE invoice_step (
    order_id uuid NOT NULL REFERENCES sales_order,
    number integer NOT NULL,
    state text NOT NULL,
    source text NOT NULL,
    by_whom text NOT NULL,
    note text,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, number)
);
