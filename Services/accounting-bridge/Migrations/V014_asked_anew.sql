-- Where the reading of all cards goes on, in the words of its driver: by key, and not by place. One that was under way begins anew.
ALTER TABLE base_state DROP COLUMN clients_place, ADD COLUMN clients_place text;

-- The day on which all orders of a base that is asked were last asked for once more.
ALTER TABLE base_state ADD COLUMN asked_anew date;

-- How the line of an order began, as the CRM told it: a person who asks after an order sees where it stopped, and how far it came.
CREATE TABLE journey_start (
    journey_id uuid PRIMARY KEY,
    lead_number bigint,
    lead_at timestamptz,
    deal_number bigint,
    deal_at timestamptz
);
