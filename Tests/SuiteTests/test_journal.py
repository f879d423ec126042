"""The journal of exchanges: what was is proved, a manager sees it covered, and old months go as a whole."""
import html
import os
import re
import signal
import subprocess

import requests
from suite import BIN, OneC, wait_for


def seals(suite, **params):
    return suite.get("accounting-bridge", "/api/v1/journal-seals", suite.token(), **params)


def sealed(suite):
    """Everything that was asked so far stands in the chain."""
    return wait_for(lambda: (lambda s: s if s["waiting"] == 0 and s["days"] else None)(seals(suite)), what="the journal to be sealed")


def doctor(suite):
    run = subprocess.run([BIN / "throughline", "doctor", "--data", suite.folder / "data", "--config", suite.config, "--port-base", str(suite.base)],
                         capture_output=True, text=True, timeout=120)
    return run.stdout + run.stderr


def test_a_record_that_is_changed_or_taken_out_is_found(suite):
    onec = OneC(suite)
    for _ in range(3):
        onec.open()
        onec.call("query")
    before = sealed(suite)
    assert before["checked"] >= 6 and all(day["wrong"] is None for day in before["days"]) and before["megabytes"] > 0
    assert "journal of the exchanges with 1C" in doctor(suite) and "is not what it was" not in doctor(suite)
    victim = suite.sql("accounting_bridge", "SELECT id, encode(answer, 'hex') FROM exchange WHERE place = 2 ORDER BY id DESC LIMIT 1")[0]
    suite.sql("accounting_bridge", f"UPDATE exchange SET answer = 'forged' WHERE id = '{victim[0]}'")
    wrong = [day["wrong"] for day in seals(suite)["days"] if day["wrong"]]
    assert wrong == [f"exchange {victim[0]} is not what it was"]
    assert f"exchange {victim[0]} is not what it was" in doctor(suite)
    suite.sql("accounting_bridge", f"UPDATE exchange SET answer = decode('{victim[1]}', 'hex') WHERE id = '{victim[0]}'")
    assert not any(day["wrong"] for day in seals(suite)["days"])
    # What was understood may be told anew; it is no part of what was.
    suite.sql("accounting_bridge", f"UPDATE exchange SET understood = '[\"anew\"]' WHERE id = '{victim[0]}'")
    assert not any(day["wrong"] for day in seals(suite)["days"])
    suite.sql("accounting_bridge", f"UPDATE exchange SET place = NULL WHERE id = '{victim[0]}'; DELETE FROM exchange WHERE id = '{victim[0]}'")
    assert any("an exchange is missing before" in (day["wrong"] or "") for day in seals(suite)["days"])
    answer = requests.get(suite.url("accounting-bridge") + "/api/v1/journal-seals?days=0", headers={"Authorization": f"Bearer {suite.token()}"}, timeout=20)
    assert answer.status_code == 400


def test_a_manager_sees_particulars_covered(suite):
    token = suite.token()
    order = suite.order(token, "Maria 89161234567 maria.s@example.ru")
    onec = OneC(suite)
    onec.take_orders()
    exchange = next(e for e in suite.get("accounting-bridge", "/api/v1/exchanges", token, order=order["number"])["items"] if e["kind"] == "sale.query")
    whole = suite.get("accounting-bridge", f"/api/v1/exchanges/{exchange['id']}", token)
    assert "89161234567 maria.s@example.ru" in whole["answer"] and whole["answerRaw"]
    covered = suite.get("accounting-bridge", f"/api/v1/exchanges/{exchange['id']}", suite.token("maria"))
    assert "*******4567 m***@example.ru" in covered["answer"] and "89161234567" not in covered["answer"]
    assert "answerRaw" not in covered and "requestRaw" not in covered
    assert f"<Номер>{order['number']}</Номер>" in covered["answer"], "the order can still be followed"
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "maria", "password": "maria-password"}, timeout=20)
    page = browser.get(suite.url("crm-core") + f"/journal/{exchange['id']}", timeout=20).text
    assert "m***@example.ru" in page and "89161234567" not in page


def test_old_months_go_as_a_whole_but_not_what_waits_for_a_person(suite):
    """Two months of long ago, one of them with a document that nobody has settled."""
    ids = {"201901": "01680a00-0000-7000-8000-000000000001", "201903": "01693a00-0000-7000-8000-000000000001"}
    suite.sql("accounting_bridge", "ALTER TABLE exchange DETACH PARTITION exchange_before; "
              "CREATE TABLE exchange_201901 PARTITION OF exchange FOR VALUES FROM (first_id_of('2019-01-01')) TO (first_id_of('2019-02-01')); "
              "CREATE TABLE exchange_201903 PARTITION OF exchange FOR VALUES FROM (first_id_of('2019-03-01')) TO (first_id_of('2019-04-01')); "
              "DO $$ BEGIN EXECUTE format('ALTER TABLE exchange ATTACH PARTITION exchange_before FOR VALUES FROM (%L) TO (%L)', "
              "first_id_of('2020-01-01'), (SELECT first_id_of(first_month) FROM journal_parts)); END $$")
    for month, id in ids.items():
        assert suite.sql("accounting_bridge", f"SELECT to_char(day_of('{id}'), 'YYYYMM')") == [[month]]
        suite.sql("accounting_bridge", "INSERT INTO exchange (id, base, at, kind, method, target, request, answered_at) "
                  f"VALUES ('{id}', 'unf', '2019-01-15', 'sale.file', 'POST', '/', '', '2019-01-15')")
    suite.sql("accounting_bridge", "INSERT INTO parked_document (id, base, exchange_id, reason) "
              f"VALUES ('{ids['201903']}', 'unf', '{ids['201903']}', 'so')")
    left = lambda: {row[0] for row in suite.sql("accounting_bridge", "SELECT relname FROM pg_class WHERE relname LIKE 'exchange_2019__'")}
    os.kill(suite.pids()["accounting-bridge"], signal.SIGKILL)
    wait_for(lambda: left() == {"exchange_201903"}, 60, "the old month to go")
    assert suite.sql("accounting_bridge", "SELECT dropped_at IS NOT NULL FROM journal_day WHERE day < '2019-02-01'") == [["t"]]
    suite.sql("accounting_bridge", f"UPDATE parked_document SET settled_at = now() WHERE id = '{ids['201903']}'")
    wait_for(suite.ready, 60, "the bridge")
    os.kill(suite.pids()["accounting-bridge"], signal.SIGKILL)
    wait_for(lambda: left() == set(), 60, "the other month to go")
    wait_for(suite.ready, 60, "the bridge")
    OneC(suite).open()
    assert suite.sql("accounting_bridge", "SELECT count(*) > 0 FROM exchange_before") == [["t"]]
    # Of a month that is kept in part old days go one by one, with the sessions that they belong to.
    days = {"2020-06-15": "0172b57d-7e80-7000-8000-000000000001", "2020-07-01": "017307e3-3e80-7000-8000-000000000001"}
    for day, id in days.items():
        assert suite.sql("accounting_bridge", f"SELECT day_of('{id}')") == [[day]]
        suite.sql("accounting_bridge", "INSERT INTO exchange (id, base, session, at, kind, method, target, request, answered_at) "
                  f"VALUES ('{id}', 'unf', '{id}', '{day}', 'sale.file', 'POST', '/', '', '{day}'); "
                  f"INSERT INTO onec_session (id, base, type, started_at) VALUES ('{id}', 'unf', 'sale', '{day}')")
    suite.sql("accounting_bridge", f"INSERT INTO parked_document (id, base, exchange_id, reason) VALUES ('{days['2020-07-01']}', 'unf', '{days['2020-07-01']}', 'so')")
    os.kill(suite.pids()["accounting-bridge"], signal.SIGKILL)
    old = lambda: {row[0] for row in suite.sql("accounting_bridge", "SELECT day_of(id) FROM exchange WHERE at < '2021-01-01'")}
    wait_for(lambda: old() == {"2020-07-01"}, 60, "the old day to go")
    assert suite.sql("accounting_bridge", "SELECT dropped_at IS NOT NULL FROM journal_day WHERE day = '2020-06-15'") == [["t"]]
    wait_for(lambda: suite.sql("accounting_bridge", "SELECT count(*) FROM onec_session WHERE started_at < '2021-01-01'") == [["0"]], 60, "its session to go")
    wait_for(suite.ready, 60, "the bridge")


LONG_AGO = """
SET statement_timeout = 0;
INSERT INTO order_out (id, number, base, request, state, requested_at, last_event)
SELECT gen_random_uuid(), 'L-' || i, 'long-ago', jsonb_build_object('counterparty', jsonb_build_object('id', 'client-' || i,
    'name', 'Общее имя' || CASE WHEN i = 7 THEN ' 50%_вместе' ELSE '' END, 'inn', (7700000000 + i)::text)), 'sent', now(), gen_random_uuid()
FROM generate_series(1, 1500) AS i;
INSERT INTO exchange (id, base, at, kind, method, target, request, result, reason, understood, orders, place, link)
SELECT (lpad(to_hex((extract(epoch FROM t) * 1000)::bigint), 12, '0') || '7000800000000' || lpad(to_hex(i), 7, '0'))::uuid, 'long-ago', t, 'odata.order',
    'GET', '/', '', CASE WHEN i % 100 = 0 THEN 'refused' ELSE 'ok' END, CASE WHEN i = 300 THEN 'Нет СКИДКИ 5%_7\\8' END,
    to_jsonb(ARRAY['заказ L-' || i % 1500]), ARRAY['L-' || i % 1500], NULL, NULL
FROM (SELECT i, timestamptz '2026-03-01' + i * interval '1 minute' AS t FROM generate_series(1, 24000) AS i) AS rows
"""


def test_the_journal_is_found_by_time_client_and_text(suite):
    suite.sql("accounting_bridge", LONG_AGO)
    token = suite.token()

    def found(**params):
        return suite.get("accounting-bridge", "/api/v1/exchanges", token, base="long-ago", **{"limit": 200, **params})

    day = {"from": "2026-03-05T00:00:00Z", "to": "2026-03-05T10:00:00Z"}
    seen, after = [], None
    while True:
        page = found(**day, limit=170, **({"after": after} if after else {}))
        seen += [item["at"] for item in page["items"]]
        after = page["next"]
        if not after:
            break
    assert len(seen) == len(set(seen)) == 600 and seen == sorted(seen, reverse=True)
    assert seen[0].startswith("2026-03-05T09:59") and seen[-1].startswith("2026-03-05T00:00")
    assert len(found(status="refused", **day)["items"]) == 6
    # One client, by each of its names; and so many of one name that they are met on the way back.
    for who in ["7700000007", "client-7", "общее имя 50%_"]:
        assert {tuple(item["understood"]) for item in found(counterparty=who)["items"]} == {("заказ L-7",)}, who
        assert len(found(counterparty=who)["items"]) == 16
    assert found(counterparty="50_вместе")["items"] == [], "a sign stands for itself alone"
    assert len(found(counterparty="общее имя", **day)["items"]) == 200
    # Said once, and beyond the newest 20,000.
    for text in ["скидки 5%_7", "5%_7\\8", "нет скидки"]:
        assert [item["reason"] for item in found(text=text)["items"]] == ["Нет СКИДКИ 5%_7\\8"], text
    assert found(text="скидки 5%%7")["items"] == [] == found(text="скидки 5__7")["items"]
    assert len(found(text="заказ L-7\"")["items"]) == 16 and len(found(text="заказ")["items"]) == 200
    indexes = {row[0] for row in suite.sql("accounting_bridge", "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'exchange'::regclass")}
    assert {"exchange_by_text", "exchange_by_time"} <= indexes


def test_the_journal_s_page_narrows_reads_foreign_bytes_and_gives_them_as_they_are(suite):
    """After the test above: a journal of 24,000 exchanges."""
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = lambda path, **params: html.unescape(browser.get(suite.url("crm-core") + path, params=params, timeout=20).text)
    links = lambda shown: re.findall(r'href="/journal/([0-9a-f-]{36})"', shown)
    # On the company's clock, Moscow's: from midnight to one there it is 21:00 to 22:00 UTC of the day before.
    hour = {"base": "long-ago", "from": "2026-03-05T00:00", "to": "2026-03-05T01:00"}
    shown = page("/journal", **hour)
    assert len(links(shown)) == 60 and 'value="2026-03-05T00:00"' in shown
    day = {"base": "long-ago", "from": "2026-03-05T00:00", "to": "2026-03-06T00:00", "direction": "in"}
    seen, path = [], "/journal?" + "&".join(f"{k}={v}" for k, v in day.items())
    while path:
        shown = page(path)
        seen += links(shown)
        older = re.search(r'href="(/journal\?[^"]*after=[^"]*)"', shown)
        path = older and older[1]
    assert len(seen) == len(set(seen)) == 1440
    assert len(links(page("/journal", base="long-ago", text="скидки 5%_7"))) == 1
    assert "Таких обменов нет" in page("/journal", base="long-ago", text="чего не было")
    assert "<script>x" not in browser.get(suite.url("crm-core") + "/journal", params={"text": '"><script>x'}, timeout=20).text
    # Another program's bytes.
    onec = OneC(suite)
    onec.open()
    told = '<?xml version="1.0" encoding="windows-1251"?><КоммерческаяИнформация ВерсияСхемы="2.05"><Неизвестное>Съешь ещё</Неизвестное></КоммерческаяИнформация>'.encode("cp1251")
    onec.call("file", told, filename="cp1251.xml")
    kept = suite.get("accounting-bridge", "/api/v1/exchanges", suite.token(), kind="sale.file", limit=1)["items"][0]["id"]
    assert "Съешь ещё" in page(f"/journal/{kept}") and f"/journal/request/{kept}" in page(f"/journal/{kept}")
    raw = browser.get(suite.url("crm-core") + f"/journal/request/{kept}", timeout=20)
    assert raw.content == told and "attachment" in raw.headers["Content-Disposition"]
    onec.call("file", b"PK\x03\x04\x00\x00zip", filename="a.zip")
    kept = suite.get("accounting-bridge", "/api/v1/exchanges", suite.token(), kind="sale.file", limit=1)["items"][0]["id"]
    assert "двоичные данные: 9 байт" in page(f"/journal/{kept}")
    manager = requests.Session()
    manager.post(suite.url("crm-core") + "/login", data={"login": "maria", "password": "maria-password"}, timeout=20)
    assert manager.get(suite.url("crm-core") + f"/journal/request/{kept}", timeout=20).status_code == 403
    assert "/journal/request/" not in html.unescape(manager.get(suite.url("crm-core") + f"/journal/{kept}", timeout=20).text)
