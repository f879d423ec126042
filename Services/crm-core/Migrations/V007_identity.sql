-- Which record of another system is which client of ours: (system, kind, external id) is unique, and so is the other way round.
CREATE TABLE external_id (
    system text NOT NULL,
    kind text NOT NULL,
    external_id text NOT NULL,
    client_id uuid NOT NULL,
    rule text NOT NULL,
    by_whom text,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system, kind, external_id),
    CONSTRAINT external_id_of_client_once UNIQUE (system, kind, client_id)
);

-- Cards of counterparties as 1C's bases tell them. What is nobody's waits for a person.
CREATE TABLE onec_card (
    base text NOT NULL,
    onec_id text NOT NULL,
    name text NOT NULL,
    full_name text,
    inn text,
    kpp text,
    is_deleted boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('linked', 'waiting', 'ignored')),
    -- Why it waits, in words, and who it may be.
    reason text,
    candidates uuid[] NOT NULL DEFAULT '{}',
    decided_by text,
    as_of timestamptz NOT NULL,
    exchange_id uuid NOT NULL,
    PRIMARY KEY (base, onec_id)
);
CREATE INDEX onec_card_waiting ON onec_card (as_of) WHERE state = 'waiting';

-- What a client was called: an id never dies, a name is a value of it.
CREATE TABLE client_change (
    id uuid PRIMARY KEY,
    client_id uuid NOT NULL,
    field text NOT NULL,
    old_value text,
    new_value text,
    -- Who changed it: `crm`, or the base.
    source text NOT NULL,
    by_whom text,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX client_change_by_client ON client_change (client_id, id);

-- Both sides changed the same: both values, the rule that chose, and whether a person has taken it back.
CREATE TABLE client_conflict (
    id uuid PRIMARY KEY,
    client_id uuid NOT NULL,
    base text NOT NULL,
    onec_id text NOT NULL,
    field text NOT NULL,
    crm_value text,
    onec_value text,
    kept text NOT NULL CHECK (kept IN ('crm', 'onec')),
    rule text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    settled_by text,
    settled_at timestamptz,
    reverted boolean NOT NULL DEFAULT false
);
CREATE INDEX client_conflict_open ON client_conflict (id) WHERE settled_at IS NULL;
CREATE INDEX company_by_name ON company (lower(left(name, 200)));

-- Comparisons of books, CRM and report: each night's, and those that people asked for.
CREATE TABLE reconciliation_run (
    id uuid PRIMARY KEY,
    day date NOT NULL,
    at timestamptz NOT NULL,
    by_whom text,
    checked bigint NOT NULL,
    differences jsonb NOT NULL,
    failed text
);
CREATE INDEX reconciliation_run_nightly ON reconciliation_run (day) WHERE by_whom IS NULL;
