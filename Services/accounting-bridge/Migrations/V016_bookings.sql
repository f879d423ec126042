-- Receipts are asked for by the booking that an order is for (ONEC-21).
CREATE INDEX order_out_by_booking ON order_out ((request->>'bookingId')) WHERE request->>'bookingId' IS NOT NULL;
