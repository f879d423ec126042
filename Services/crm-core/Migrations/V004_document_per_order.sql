-- One payment or shipment of 1C's may cover several orders: each order's share is a row of its own.
ALTER TABLE document DROP CONSTRAINT document_pkey;
ALTER TABLE document ADD PRIMARY KEY (base, kind, onec_id, order_id);
