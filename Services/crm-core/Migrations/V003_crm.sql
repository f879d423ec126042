CREATE TABLE staff (
    id uuid PRIMARY KEY,
    login text NOT NULL,
    name text NOT NULL,
    password_hash text NOT NULL,
    roles text[] NOT NULL,
    email text,
    department text,
    at_work boolean NOT NULL DEFAULT true,
    active boolean NOT NULL DEFAULT true,
    last_assigned_at timestamptz,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT staff_login_once UNIQUE (login)
);
CREATE TABLE session (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES staff,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE TABLE failed_login (
    login text NOT NULL,
    address text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX failed_login_recent ON failed_login (login, at);

CREATE TABLE company (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    inn text,
    kpp text,
    address text,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX company_by_inn ON company (inn, kpp);

CREATE TABLE contact (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    name text,
    phone text,
    phone_confirmed boolean NOT NULL DEFAULT false,
    email text,
    role text,
    company_id uuid REFERENCES company,
    merged_into uuid REFERENCES contact,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX contact_by_phone ON contact (phone);
-- Who a talk is with, as the channel knows him.
CREATE TABLE contact_identity (
    channel text NOT NULL,
    conversation_id uuid NOT NULL,
    contact_id uuid NOT NULL REFERENCES contact,
    PRIMARY KEY (channel, conversation_id)
);
-- A typed phone proposes that two contacts are one; a person decides.
CREATE TABLE link_candidate (
    contact_id uuid NOT NULL REFERENCES contact,
    other_id uuid NOT NULL REFERENCES contact,
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'linked', 'refused')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (contact_id, other_id)
);

CREATE TABLE conversation (
    id uuid PRIMARY KEY,
    journey_id uuid NOT NULL,
    channel text NOT NULL,
    held_by text
);
CREATE TABLE chat_message (
    id uuid PRIMARY KEY,
    journey_id uuid,
    conversation_id uuid NOT NULL,
    author text NOT NULL,
    by_whom text,
    text text NOT NULL,
    state text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX chat_message_by_journey ON chat_message (journey_id, at);

CREATE TABLE lead (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    journey_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    contact_id uuid NOT NULL REFERENCES contact,
    company_id uuid REFERENCES company,
    name text,
    phone text,
    phone_confirmed boolean NOT NULL DEFAULT false,
    email text,
    answers jsonb NOT NULL DEFAULT '{}',
    channel text NOT NULL,
    campaign text,
    first_touch jsonb,
    last_touch jsonb,
    text text,
    external_order_number text,
    status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'taken', 'converted', 'rejected')),
    reject_reason text,
    deal_id uuid,
    responsible_id uuid REFERENCES staff,
    next_task text,
    next_task_at timestamptz,
    is_ready boolean NOT NULL DEFAULT false,
    is_complete boolean NOT NULL DEFAULT false,
    last_event uuid,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT lead_journey_once UNIQUE (journey_id),
    CONSTRAINT lead_rejected_has_reason CHECK (status <> 'rejected' OR reject_reason IS NOT NULL)
);
CREATE INDEX lead_by_responsible ON lead (responsible_id, status, next_task_at);

CREATE TABLE deal (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    journey_id uuid,
    title text NOT NULL,
    amount_minor bigint,
    currency text,
    pipeline text NOT NULL DEFAULT 'default',
    stage text NOT NULL DEFAULT 'new'
        CHECK (stage IN ('new', 'qualified', 'proposal', 'agreed', 'won', 'lost')),
    outcome text NOT NULL DEFAULT 'open' CHECK (outcome IN ('open', 'won', 'lost')),
    organization text NOT NULL,
    contact_id uuid REFERENCES contact,
    company_id uuid REFERENCES company,
    responsible_id uuid REFERENCES staff,
    channel text,
    campaign text,
    won_at timestamptz,
    lost_reason text,
    next_task text,
    next_task_at timestamptz,
    last_event uuid,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT deal_journey_once UNIQUE (journey_id)
);
CREATE INDEX deal_by_responsible ON deal (responsible_id, outcome);
CREATE INDEX deal_by_company ON deal (company_id);

-- The next order number; kept in step with a file outside the database, so that a restore reuses none.
CREATE TABLE order_counter (one boolean PRIMARY KEY DEFAULT true CHECK (one), last bigint NOT NULL);
INSERT INTO order_counter (last) VALUES (0);

CREATE TABLE sales_order (
    id uuid PRIMARY KEY,
    number text NOT NULL CHECK (number ~ '^[0-9]{1,11}$'),
    kind text NOT NULL CHECK (kind IN ('goods', 'prepayment', 'signing')),
    origin text NOT NULL DEFAULT 'crm',
    organization text NOT NULL,
    base text NOT NULL,
    onec_number text,
    onec_id text,
    deal_id uuid REFERENCES deal,
    journey_id uuid,
    status text NOT NULL DEFAULT 'requested'
        CHECK (status IN ('requested', 'sent', 'accepted', 'closed', 'cancelled', 'failed')),
    failure text,
    currency text NOT NULL,
    asked_minor bigint NOT NULL,
    total_minor bigint,
    tells_payments boolean,
    paid_flag boolean,
    shipped_flag boolean,
    due_date date,
    lines jsonb NOT NULL,
    last_event uuid,
    as_of timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    version int NOT NULL DEFAULT 1,
    CONSTRAINT order_number_once UNIQUE (number)
);
CREATE INDEX sales_order_by_deal ON sales_order (deal_id);

CREATE TABLE document (
    base text NOT NULL,
    kind text NOT NULL,
    onec_id text NOT NULL,
    order_id uuid NOT NULL REFERENCES sales_order,
    number text,
    date text,
    amount_minor bigint,
    currency text,
    posted boolean NOT NULL,
    cancelled boolean NOT NULL,
    as_of timestamptz NOT NULL,
    exchange_id uuid,
    PRIMARY KEY (base, kind, onec_id)
);
CREATE INDEX document_by_order ON document (order_id);

CREATE TABLE journey (
    id uuid PRIMARY KEY,
    contact_id uuid,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz
);
CREATE TABLE journey_step (
    id uuid PRIMARY KEY,
    journey_id uuid NOT NULL,
    at timestamptz NOT NULL,
    service text NOT NULL,
    kind text NOT NULL,
    summary text NOT NULL,
    summary_en text NOT NULL,
    ref text,
    caused_by uuid,
    by_whom text
);
CREATE INDEX journey_step_by_journey ON journey_step (journey_id, at, id);

-- Answers given to POSTs with an Idempotency-Key; kept seven days.
CREATE TABLE idempotency (
    caller text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    status int NOT NULL,
    body bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, route, key)
);
