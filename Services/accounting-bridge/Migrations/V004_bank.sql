-- What 1C has told of an order, as far as matching payments to it needs to know.
ALTER TABLE order_out
    ADD COLUMN onec_number text,
    ADD COLUMN told_total jsonb,
    ADD COLUMN told_documents jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN told_cancelled boolean NOT NULL DEFAULT false,
    -- Payments that wait may be for it now: it is new, or 1C has said something of it.
    ADD COLUMN match_again boolean NOT NULL DEFAULT false,
    ADD COLUMN inn text GENERATED ALWAYS AS (request #>> '{counterparty,inn}') STORED,
    ADD COLUMN counterparty_id text GENERATED ALWAYS AS (request #>> '{counterparty,id}') STORED,
    -- The digits at the end of 1C's number without leading zeros: НФ-000019 is written as 19.
    ADD COLUMN onec_bare text GENERATED ALWAYS AS (ltrim(substring(onec_number FROM '[0-9]+$'), '0')) STORED;
CREATE INDEX order_out_by_inn ON order_out (inn);
CREATE INDEX order_out_by_counterparty ON order_out (counterparty_id);
CREATE INDEX order_out_by_onec_number ON order_out (upper(onec_number));
CREATE INDEX order_out_by_onec_bare ON order_out (onec_bare);

CREATE INDEX order_out_match_again ON order_out (id) WHERE match_again;

-- Files of a bank, one row each; the bytes are in the journal.
CREATE TABLE bank_statement (
    id uuid PRIMARY KEY,
    exchange_id uuid NOT NULL,
    filename text,
    by_whom text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

-- The days of an account that a file tells.
CREATE TABLE bank_statement_days (
    statement_id uuid NOT NULL REFERENCES bank_statement,
    account text NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    PRIMARY KEY (statement_id, account, first_day)
);

-- Documents of statements. Read again, a document is the same by its digest.
CREATE TABLE bank_payment (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL,
    statement_id uuid NOT NULL REFERENCES bank_statement,
    exchange_id uuid NOT NULL,
    line int NOT NULL,
    kind text NOT NULL,
    number text NOT NULL,
    date date NOT NULL,
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    account text NOT NULL,
    organization text,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    other_name text,
    other_inn text,
    other_kpp text,
    other_account text,
    other_bank text,
    purpose text NOT NULL,
    state text NOT NULL CHECK (state IN ('matched', 'unmatched', 'outgoing', 'vanished')),
    -- Why it waits, or why it is no longer counted.
    reason text,
    version int NOT NULL DEFAULT 1,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT bank_payment_once UNIQUE (digest)
);
CREATE INDEX bank_payment_by_state ON bank_payment (state, date, id);
CREATE INDEX bank_payment_by_days ON bank_payment (account, date);
CREATE INDEX bank_payment_unmatched ON bank_payment (other_inn) WHERE state = 'unmatched';

CREATE TABLE bank_allocation (
    payment_id uuid NOT NULL REFERENCES bank_payment,
    order_id uuid NOT NULL REFERENCES order_out,
    amount_minor bigint NOT NULL,
    rule text NOT NULL,
    by_whom text,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (payment_id, order_id)
);
CREATE INDEX bank_allocation_by_order ON bank_allocation (order_id);

-- Who pays for whom, as a person has decided once.
CREATE TABLE payer_memory (
    payer text NOT NULL,
    counterparty_id text NOT NULL,
    by_whom text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (payer, counterparty_id)
);

-- «Клиент говорит, что оплатил»: the claim, and what was found of it when it was asked.
CREATE TABLE payment_claim (
    id uuid PRIMARY KEY,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    date date,
    number text,
    payer_inn text,
    order_number text,
    comment text,
    finding text NOT NULL,
    by_whom text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
