-- A client may send a photo of his payment order instead of its sum: a person reads it.
ALTER TABLE payment_claim
    ALTER COLUMN amount_minor DROP NOT NULL,
    ALTER COLUMN currency DROP NOT NULL,
    ADD COLUMN photo bytea,
    ADD COLUMN photo_type text;
CREATE INDEX payment_claim_unread ON payment_claim (id) WHERE finding = 'photo';
