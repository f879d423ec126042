-- Whose client somebody is, is asked of his leads.
CREATE INDEX lead_by_contact ON lead (contact_id);

-- What stood here as the day to pay by was the day of a payment itself (УНФ writes it there); the order's own comes with its next report.
UPDATE sales_order AS o SET due_date = NULL, overdue_told = false
WHERE due_date IS NOT NULL AND EXISTS (
    SELECT 1 FROM document AS d WHERE d.order_id = o.id AND d.kind = 'payment' AND d.date = o.due_date::text);
