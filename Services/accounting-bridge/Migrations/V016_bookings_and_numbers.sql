-- Receipts are asked for by the booking that an order is for (ONEC-21).
CREATE INDEX order_out_by_booking ON order_out ((request->>'bookingId')) WHERE request->>'bookingId' IS NOT NULL;

-- The year and number of an order in its base: a second order under the same one tells that the base was restored from a copy.
ALTER TABLE told_object ADD COLUMN number text;
CREATE INDEX told_object_by_number ON told_object (base, number) WHERE number IS NOT NULL;
