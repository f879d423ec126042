-- Sessions that ended before their time; kept until their tokens have run out.
CREATE TABLE revoked_session (id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
