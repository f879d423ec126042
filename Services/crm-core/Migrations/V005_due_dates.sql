-- Whether it has been said that the order's day of payment has passed.
ALTER TABLE sales_order ADD COLUMN overdue_told boolean NOT NULL DEFAULT false;
CREATE INDEX sales_order_due ON sales_order (due_date) WHERE NOT overdue_told AND due_date IS NOT NULL;
