-- What was counted, one row per fact; a fact that changes replaces itself.
CREATE TABLE fact (
    metric text NOT NULL,
    key text NOT NULL,
    at timestamptz NOT NULL,
    -- In the company's zone, by the document's date; the hour is absent for facts that know their day only.
    day date NOT NULL,
    hour text,
    amount numeric NOT NULL,
    unit text NOT NULL,
    counted boolean NOT NULL DEFAULT true,
    channel text NOT NULL DEFAULT 'none',
    campaign text NOT NULL DEFAULT 'none',
    manager text NOT NULL DEFAULT 'none',
    organization text NOT NULL DEFAULT 'none',
    step text NOT NULL DEFAULT 'none',
    currency text,
    journey_id uuid,
    kind text NOT NULL,
    ref text NOT NULL,
    number text,
    PRIMARY KEY (metric, key)
);
CREATE INDEX fact_by_day ON fact (metric, day);

-- A figure: the sum over its facts. `revision` grows by one with each change and is never set back.
CREATE TABLE cell (
    metric text NOT NULL,
    grain text NOT NULL,
    period text NOT NULL,
    by_dimensions text NOT NULL,
    dimensions text NOT NULL,
    unit text NOT NULL,
    sum numeric NOT NULL DEFAULT 0,
    count bigint NOT NULL DEFAULT 0,
    revision bigint NOT NULL DEFAULT 0,
    as_of timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (metric, grain, period, by_dimensions, dimensions)
);

-- The slice of a journey, frozen at its lead.
CREATE TABLE journey_slice (journey_id uuid PRIMARY KEY, campaign text);

-- For BI tools: the role bi_reader reads these and nothing else.
CREATE VIEW bi.metric_facts AS
    SELECT metric, key, at, day, amount, unit, channel, campaign, manager, organization, step, currency,
        journey_id, kind, ref, number FROM fact WHERE counted;
COMMENT ON VIEW bi.metric_facts IS 'Every fact that stands in a metric, one row each';
COMMENT ON COLUMN bi.metric_facts.metric IS 'Name of the metric, such as money.received';
COMMENT ON COLUMN bi.metric_facts.key IS 'Identity of the fact within its metric';
COMMENT ON COLUMN bi.metric_facts.at IS 'When it became known';
COMMENT ON COLUMN bi.metric_facts.day IS 'Day in the company''s time zone, by the document''s date';
COMMENT ON COLUMN bi.metric_facts.amount IS 'Its share of the figure';
COMMENT ON COLUMN bi.metric_facts.unit IS 'Unit of the amount: a currency, pcs or s';
COMMENT ON COLUMN bi.metric_facts.channel IS 'Channel of the journey''s first touch';
COMMENT ON COLUMN bi.metric_facts.campaign IS 'Campaign of the journey''s first touch';
COMMENT ON COLUMN bi.metric_facts.manager IS 'Responsible manager at the time of the fact';
COMMENT ON COLUMN bi.metric_facts.organization IS 'Our legal entity that sells';
COMMENT ON COLUMN bi.metric_facts.step IS 'Step of the funnel';
COMMENT ON COLUMN bi.metric_facts.currency IS 'ISO 4217 code for money';
COMMENT ON COLUMN bi.metric_facts.journey_id IS 'The request it belongs to';
COMMENT ON COLUMN bi.metric_facts.kind IS 'lead, deal, order, document or message';
COMMENT ON COLUMN bi.metric_facts.ref IS 'Id of that record';
COMMENT ON COLUMN bi.metric_facts.number IS 'Its number as people say it';
CREATE VIEW bi.metric_values AS
    SELECT metric, grain, period, by_dimensions, dimensions::jsonb AS dimensions, unit, sum, count, revision,
        as_of FROM cell;
COMMENT ON VIEW bi.metric_values IS 'The figures as they stand; totals and slices are never summed together';
COMMENT ON COLUMN bi.metric_values.metric IS 'Name of the metric';
COMMENT ON COLUMN bi.metric_values.grain IS 'total, hour, day or month';
COMMENT ON COLUMN bi.metric_values.period IS 'The period in the company''s zone, ISO; all for totals';
COMMENT ON COLUMN bi.metric_values.by_dimensions IS 'Dimensions of the slice, comma-separated';
COMMENT ON COLUMN bi.metric_values.dimensions IS 'Their values';
COMMENT ON COLUMN bi.metric_values.unit IS 'Unit of the value';
COMMENT ON COLUMN bi.metric_values.sum IS 'Sum over the facts';
COMMENT ON COLUMN bi.metric_values.count IS 'Number of facts';
COMMENT ON COLUMN bi.metric_values.revision IS 'Grows by one with each change';
COMMENT ON COLUMN bi.metric_values.as_of IS 'When it last changed';
GRANT SELECT ON bi.metric_facts, bi.metric_values TO bi_reader;
