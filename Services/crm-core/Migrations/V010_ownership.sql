-- Who owns a client's fields, where a person has said otherwise than the rule; and writes that were refused because the data are another's.
CREATE TABLE data_owner (
    field text PRIMARY KEY CHECK (field IN ('name', 'inn', 'kpp')),
    owner text NOT NULL CHECK (owner IN ('crm', 'onec', 'both')),
    by_whom text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE refused_write (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    by_whom text NOT NULL,
    data text NOT NULL,
    subject text NOT NULL,
    value text,
    reason text NOT NULL
);

-- What a card of 1C's was before, by its own history.
ALTER TABLE onec_card ADD COLUMN history jsonb NOT NULL DEFAULT '[]';
