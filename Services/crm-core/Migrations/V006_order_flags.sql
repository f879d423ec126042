-- What departments have marked as done in 1C; a mark taken off again stays as not done.
CREATE TABLE order_flag (
    order_id uuid NOT NULL REFERENCES sales_order,
    department text NOT NULL,
    done boolean NOT NULL,
    by_whom text,
    at timestamptz,
    PRIMARY KEY (order_id, department)
);
