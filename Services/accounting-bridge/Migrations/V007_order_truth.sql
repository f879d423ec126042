ALTER TABLE order_out
    -- The base tells each payment of it as a document.
    ADD COLUMN told_payments boolean NOT NULL DEFAULT false,
    -- 1C says that it is paid in full, or closed: no money is waited for.
    ADD COLUMN told_paid boolean NOT NULL DEFAULT false,
    -- The exchange that told its present state: what came before it is older news, also when it is read later.
    ADD COLUMN told_by uuid;
UPDATE order_out o SET told_payments = true FROM base_state b
    WHERE b.base = o.base AND b.tells_payments AND o.report_digest IS NOT NULL;
-- What 1C told before these columns were there it tells again: the same content counts as news once.
UPDATE order_out SET report_digest = NULL WHERE report_digest IS NOT NULL;

ALTER TABLE bank_statement ADD COLUMN made_at timestamp;
-- A person has undone its match: no rule makes it again.
ALTER TABLE bank_payment ADD COLUMN left_to_person boolean NOT NULL DEFAULT false;

-- Names may be longer than an index takes.
DROP INDEX good_by_name;
DROP INDEX good_by_sku;
CREATE INDEX good_by_sku ON good (base, lower(left(sku, 200)));
