-- Receipts are asked for by the booking that an order is for (ONEC-21).
CREATE INDEX order_out_by_booking ON order_out ((request->>'bookingId')) WHERE request->>'bookingId' IS NOT NULL;

-- The year and number of an order in its base: a second order under the same one tells that the base was restored from a copy.
ALTER TABLE told_object ADD COLUMN number text;
CREATE INDEX told_object_by_number ON told_object (base, number) WHERE number IS NOT NULL;
UPDATE told_object SET number = substring(body FROM '<Дата>([0-9]{4})') || ' ' || substring(body FROM '<Номер>([^<]{1,100})</Номер>')
WHERE kind = 'order';

-- A message that could not be read is settled by the next that can: it is known by its name.
UPDATE parked_document SET filename = filename || ', не прочитано'
WHERE settled_at IS NULL AND kind = 'report' AND number IS NULL AND reason LIKE 'XML не читается%';
