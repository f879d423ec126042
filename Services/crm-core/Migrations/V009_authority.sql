-- Several bases may tell of one order: whether each shipment comes as a document is known apart from payments, and what another base is authoritative
-- for is seen and not counted.
ALTER TABLE sales_order ADD COLUMN tells_shipments boolean;
ALTER TABLE document ADD COLUMN counts boolean NOT NULL DEFAULT true;

-- All differences that a comparison has found, of which the first are kept, and how old what each base told was.
ALTER TABLE reconciliation_run ADD COLUMN found bigint, ADD COLUMN sources jsonb NOT NULL DEFAULT '[]';
UPDATE reconciliation_run SET found = jsonb_array_length(differences);
ALTER TABLE reconciliation_run ALTER COLUMN found SET NOT NULL;

-- Opens the document where it is kept.
ALTER TABLE document ADD COLUMN link text;
