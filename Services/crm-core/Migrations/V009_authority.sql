-- Several bases may tell of one order: whether each shipment comes as a document is known apart from payments, and what another base is authoritative
-- for is seen and not counted.
ALTER TABLE sales_order ADD COLUMN tells_shipments boolean;
ALTER TABLE document ADD COLUMN counts boolean NOT NULL DEFAULT true;
