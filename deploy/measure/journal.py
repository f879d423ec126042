"""The journal with a million exchanges of 100,000 orders: whether each way to search it answers within a second (JRN-03)."""
import time

import requests

FILL = """
INSERT INTO accounting_bridge.order_out (id, number, base, request, state, requested_at, last_event)
SELECT gen_random_uuid(), (5000000 + i)::text, 'bench',
    jsonb_build_object('counterparty', jsonb_build_object('id', gen_random_uuid(), 'name', 'ООО Клиент ' || i, 'inn', (7700000000 + i)::text)),
    'sent', now() - interval '30 days' * (1 - i / {orders}.0), gen_random_uuid()
FROM generate_series(1, {orders}) AS i;
INSERT INTO accounting_bridge.exchange (id, base, session, at, direction, kind, method, target, request, answered_at, status, answer, result, reason,
    understood, orders, place, link)
SELECT (lpad(to_hex((extract(epoch FROM t) * 1000)::bigint), 12, '0') || '7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid,
    CASE WHEN i % 10 = 0 THEN 'rare' ELSE 'bench' END, NULL, t, CASE WHEN i % 3 = 0 THEN 'out' ELSE 'in' END,
    CASE WHEN i % 5 = 0 THEN 'odata.order' ELSE 'odata.state' END, 'GET', '/order', convert_to(repeat('x', 300), 'UTF8'), t, 200,
    convert_to(repeat('y', 300), 'UTF8'), CASE WHEN i % 997 = 0 THEN 'failed' ELSE 'ok' END, CASE WHEN i % 997 = 0 THEN 'срок оплаты не указан' END,
    to_jsonb(ARRAY['заказ ' || (5000000 + i % {orders}) || ' = НФ-' || i]), ARRAY[(5000000 + i % {orders})::text], i, ''
FROM (SELECT i, now() - interval '30 days' * (1 - i / {exchanges}.0) AS t FROM generate_series(1, {exchanges}) AS i) AS rows;
ANALYZE accounting_bridge.order_out, accounting_bridge.exchange;
"""


def measure(suite, server, figure, quick):
    exchanges, orders = (100_000, 10_000) if quick else (1_000_000, 100_000)
    for statement in FILL.format(exchanges=exchanges, orders=orders).split(";\n"):
        if statement.strip():
            server.run(statement)
    token = suite.token()
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 20 * 86400))
    filters = {
        "the newest": {}, "base": {"base": "rare"}, "direction": {"direction": "out"}, "result": {"status": "failed"}, "kind": {"kind": "odata.order"},
        "order": {"order": str(5_000_000 + orders // 2)}, "client by INN": {"counterparty": str(7_700_000_000 + orders // 2)},
        "client by name": {"counterparty": f"клиент {orders // 2}"}, "a day": {"from": f"{day}T00:00:00Z", "to": f"{day}T23:59:59Z"},
        "text that stands in one": {"text": f"НФ-{exchanges // 2}\""}, "text that stands in none": {"text": "такого нет"},
        "base, result and a day": {"base": "bench", "status": "failed", "from": f"{day}T00:00:00Z", "to": f"{day}T23:59:59Z"},
    }
    for name, params in filters.items():
        begin = time.monotonic()
        answer = requests.get(suite.url("accounting-bridge") + "/api/v1/exchanges", params=params, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        seconds = time.monotonic() - begin
        assert answer.status_code == 200, answer.text
        figure(f"the journal by {name}, {exchanges:,} exchanges", seconds, "s", "< 1", seconds < 1)
