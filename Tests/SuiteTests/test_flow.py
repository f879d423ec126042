"""Seeing what waits, and doing again what failed: status, decisions, replay with preview, seals, keys, through every door."""
import json
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import requests
from suite import BIN, SERVICES, wait_for


def command(suite, *words, code=0):
    run = subprocess.run(
        [BIN / "throughline", *words, "--data", suite.folder / "data", "--port-base", str(suite.base), "--json"],
        capture_output=True, text=True, timeout=120)
    assert run.returncode == code, run.stdout + run.stderr
    return json.loads(run.stdout) if run.stdout.strip() else None


def poison(suite, token, name):
    """A lead whose event the aggregator cannot take until somebody mends its table."""
    suite.sql("bi_aggregator", "ALTER TABLE fact ADD CONSTRAINT planted CHECK (metric <> 'leads.created') NOT VALID")
    lead = suite.lead(token, name)
    wait_for(lambda: suite.sql("bi_aggregator", "SELECT 1 FROM parked WHERE type = 'crm.lead.created.v1' AND settled_at IS NULL"),
             what="the event is set aside")
    return lead


def test_a_service_with_nothing_to_do_rests(suite):
    """Processor time and not a clock's: a loop that asks without a pause takes a core, whatever else runs here."""
    tick = os.sysconf("SC_CLK_TCK")
    stat = lambda pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    age = lambda pid: float(Path("/proc/uptime").read_text().split()[0]) - int(stat(pid)[19]) / tick
    used = lambda pid: (int(stat(pid)[11]) + int(stat(pid)[12])) / tick
    pids = {name: pid for name, pid in suite.pids().items() if name in SERVICES}
    assert len(pids) == len(SERVICES)
    # Loops that look now and then have looked more than once by then.
    wait_for(lambda: all(age(pid) > 12 for pid in pids.values()), 30, "they have run for a while")
    before, begin = {name: used(pid) for name, pid in pids.items()}, time.monotonic()
    wait_for(lambda: time.monotonic() - begin > 4, what="a while in which nothing happens")
    shares = {name: (used(pid) - before[name]) / (time.monotonic() - begin) for name, pid in pids.items()}
    assert max(shares.values()) < 0.25, shares


def test_what_failed_is_planned_looked_at_and_done_exactly_once(suite):
    token = suite.token()
    lead = poison(suite, token, "replayed")
    state = suite.get("bi-aggregator", "/api/v1/bus", token)
    assert any("planted" in one["reason"] for one in state["parked"]), state["parked"]
    where = suite.get("bi-aggregator", "/api/v1/whereabouts", token, journeyId=lead["journeyId"])["items"]
    assert where and where[0]["queue"] == "parked" and "planted" in where[0]["waitsFor"]

    # Before the repair the preview says that it would fail, and nothing is done.
    plan = suite.post("bi-aggregator", "/api/v1/replays", token, {"filter": {"error": "planted"}, "dryRun": True}, status=201)
    assert plan["state"] == "planned" and plan["count"] >= 1 and plan["differences"]["wouldSucceed"] == 0
    assert any("planted" in reason for reason in plan["differences"]["wouldFail"])

    # What is set aside is none of what was taken: it would be done past its own order, and then once more.
    aside = {row[0] for row in suite.sql("bi_aggregator", "SELECT id FROM parked WHERE settled_at IS NULL")}
    wish = {"filter": {"source": "taken", "journeyId": lead["journeyId"]}, "dryRun": True}
    assert aside.isdisjoint(i["eventId"] for i in suite.post("bi-aggregator", "/api/v1/replays", token, wish, status=201)["items"])

    suite.sql("bi_aggregator", "ALTER TABLE fact DROP CONSTRAINT planted")
    facts = "SELECT count(*) FROM fact WHERE metric = 'leads.created'"
    before = suite.sql("bi_aggregator", facts)
    plan = suite.post("bi-aggregator", "/api/v1/replays", token, {"filter": {"error": "planted"}, "dryRun": True}, status=201)
    seen = plan["differences"]
    assert seen["wouldSucceed"] == plan["count"] and not seen["wouldFail"]
    assert any(change["table"] == "fact" and change["added"] > 0 for change in seen["changes"]), seen
    assert suite.sql("bi_aggregator", facts) == before, "a preview changes nothing"

    # What is set aside after the list was frozen does not join it.
    suite.sql("bi_aggregator", "INSERT INTO parked (id, publisher, stream, lane, seq, type, key, reason, attempts, behind, body) VALUES "
              f"('{uuid.uuid4()}', 'crm-core', 'crm-core', 'main', 999999, 'x', 'late', 'planted later', 1, false, '')")
    suite.post("bi-aggregator", f"/api/v1/replays/{plan['id']}/apply", token, {}, status=202)
    done = wait_for(lambda: (lambda r: r if r["state"] == "applied" else None)(suite.get("bi-aggregator", f"/api/v1/replays/{plan['id']}", token)))
    assert done["counts"] == {"done": plan["count"]} and {i["outcome"] for i in done["items"]} == {"done"}
    assert int(suite.sql("bi_aggregator", facts)[0][0]) == int(before[0][0]) + 1
    assert suite.sql("bi_aggregator", "SELECT count(*) FROM parked WHERE settled_at IS NULL") == [["1"]]
    assert suite.sql("bi_aggregator", "SELECT count(*) FROM blocked_key") == [["0"]]
    suite.sql("bi_aggregator", "DELETE FROM parked WHERE key = 'late'")

    # Twice is refused in words, and it stands in the record who did it.
    again = requests.post(suite.url("bi-aggregator") + f"/api/v1/replays/{plan['id']}/apply", json={},
                          headers={"Authorization": f"Bearer {token}"}, timeout=20)
    assert again.status_code == 409 and "applied" in again.json()["detail"]
    decisions = suite.get("bi-aggregator", "/api/v1/bus/decisions", token)["items"]
    assert any(d["what"] == "apply-replay" and d["by"] == "Администратор" for d in decisions)


def test_a_message_is_changed_by_one_that_supersedes_it(suite):
    token = suite.token()
    lead = poison(suite, token, "changed")
    row = suite.sql("bi_aggregator", "SELECT id, convert_from(body, 'UTF8') FROM parked WHERE type = 'crm.lead.created.v1' AND settled_at IS NULL")[0]
    suite.sql("bi_aggregator", "ALTER TABLE fact DROP CONSTRAINT planted")
    data = json.loads(row[1])["data"]
    data["slice"]["channel"] = "corrected"
    change = suite.folder / "change.json"
    change.write_text(json.dumps(data))
    plan = command(suite, "replay", "plan", "bi-aggregator", "--error", "planted", "--change", f"{row[0]}={change}")
    changed = [i for i in plan["items"] if i.get("supersedes")]
    assert [i["supersedes"] for i in changed] == [row[0]] and changed[0]["eventId"] != row[0]
    command(suite, "replay", "apply", "bi-aggregator", plan["id"])
    wait_for(lambda: command(suite, "replay", "show", "bi-aggregator", plan["id"])["state"] == "applied")
    channel = f"SELECT channel FROM fact WHERE metric = 'leads.created' AND key = '{lead['id']}'"
    assert suite.sql("bi_aggregator", channel) == [["corrected"]]
    # Both stay visible.
    assert suite.sql("bi_aggregator", f"SELECT settled_by FROM parked WHERE id = '{row[0]}'") == [[plan["id"]]]


def test_a_message_that_ends_each_process_does_not_end_the_next(suite):
    """As if three processes had died of it; the rest of the list is done."""
    token = suite.token()
    lead = suite.lead(token, "deadly")
    wait_for(lambda: suite.sql("bi_aggregator", f"SELECT 1 FROM fact WHERE key = '{lead['id']}'"))
    wish = {"filter": {"source": "taken", "journeyId": lead["journeyId"]}, "dryRun": True}
    plan = suite.post("bi-aggregator", "/api/v1/replays", token, wish, status=201)
    assert plan["count"] >= 2
    suite.sql("bi_aggregator", f"UPDATE replay_item SET attempts = 3 WHERE replay_id = '{plan['id']}' AND place = 1")
    suite.post("bi-aggregator", f"/api/v1/replays/{plan['id']}/apply", token, {}, status=202)
    done = wait_for(lambda: (lambda r: r if r["state"] == "applied" else None)(suite.get("bi-aggregator", f"/api/v1/replays/{plan['id']}", token)))
    assert done["counts"] == {"failed": 1, "done": plan["count"] - 1}
    assert "the process ended 3 times" in done["items"][0]["reason"]


def test_bad_wishes_get_clear_answers(suite):
    token = suite.token()
    def post(path, body, **headers):
        return requests.post(suite.url("notifier") + path, json=body, headers={"Authorization": f"Bearer {token}", **headers}, timeout=20)
    assert post("/api/v1/replays", {"filter": {}, "dryRun": True}).status_code == 409
    assert post("/api/v1/replays", {"filter": {"error": "x"}}).status_code == 422
    assert post("/api/v1/replays", {"filter": {"ids": ["no"]}, "dryRun": True}).status_code == 400
    assert post(f"/api/v1/replays/{uuid.uuid4()}/apply", {}).status_code == 404
    stream = "crm-core/crm-core/main"
    assert post("/api/v1/bus/decisions", {"stream": "x/y/main", "decision": "retry", "reason": "r"}).status_code == 404
    assert post("/api/v1/bus/decisions", {"stream": stream, "decision": "heal", "reason": "r"}).status_code == 409
    assert post("/api/v1/bus/decisions", {"stream": stream, "decision": "pause", "reason": " "}).status_code == 422
    assert post("/api/v1/bus/decisions", {"stream": stream, "decision": "jump", "reason": "r"}).status_code == 400
    reader = {"Authorization": "Bearer reader-key"}
    assert requests.get(suite.url("notifier") + "/api/v1/bus", headers=reader, timeout=20).status_code == 403
    assert requests.get(suite.url("notifier") + "/api/v1/bus", timeout=20).status_code == 401


def test_a_paused_stream_waits_also_over_a_restart_and_goes_on_without_a_loss(suite):
    token = suite.token()
    stream = "crm-core/crm-core/main"
    command(suite, "stream", "pause", "bi-aggregator", stream, "--reason", "a look at the figures")
    paused = lambda: [t for t in suite.get("bi-aggregator", "/api/v1/bus", token)["takes"] if t["name"] == stream][0]
    wait_for(lambda: paused()["phase"] == "PAUSED")
    lead = suite.lead(token, "while paused")
    wait_for(lambda: suite.get("crm-core", "/api/v1/bus", token)["takenBy"])
    where = wait_for(lambda: [p for p in suite.get("crm-core", "/api/v1/whereabouts", token, journeyId=lead["journeyId"])["items"]
                              if p["waitsFor"] == "bi-aggregator"])
    assert where[0]["queue"] == "crm-core/main"
    os.kill(suite.pids()["bi-aggregator"], signal.SIGKILL)
    wait_for(lambda: requests_ok(suite, "bi-aggregator") and paused()["phase"] == "PAUSED", 30)
    assert paused()["waitsFor"] == "a person's decision"
    command(suite, "stream", "resume", "bi-aggregator", stream, "--reason", "looked")
    wait_for(lambda: paused()["phase"] == "LIVE" and paused()["lag"] == 0)
    assert suite.sql("bi_aggregator", f"SELECT count(*) FROM fact WHERE metric = 'leads.created' AND key = '{lead['id']}'") == [["1"]]


def requests_ok(suite, service):
    try:
        return requests.get(suite.url(service) + "/healthz", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def test_status_shows_the_line_and_where_an_order_is(suite):
    token = suite.token()
    order = suite.order(token, "where-is-it")
    status = command(suite, "status")
    assert set(status) == set(SERVICES) and all(s["ready"] for s in status.values())
    queue = [q for q in status["accounting-bridge"]["report"]["queues"] if q["name"].startswith("orders:")]
    assert queue and queue[0]["waiting"] >= 1
    places = command(suite, "status", "--order", order["number"])["items"]
    assert any(p["service"] == "accounting-bridge" and order["number"] in p["what"] for p in places), places
    line = command(suite, "journey", "--order", order["number"])
    assert line["steps"] and any(p["queue"].startswith("orders:") for p in line["places"])


def test_a_flipped_byte_is_found_and_the_healthy_rest_is_not_accused(suite):
    report = command(suite, "doctor")
    assert all(one["ok"] for one in report), [one for one in report if not one["ok"]]
    checks = " ".join(one["check"] for one in report)
    for wanted in ["doors of crm-core", "time-outs", "log crm-core/main", "refused elsewhere", "disk", "key of notifier"]:
        assert wanted in checks
    place = "WHERE id = (SELECT event_id FROM event_no WHERE stream = 'crm-core' AND lane = 'main' AND seq = 2)"
    before = suite.sql("crm_core", f"SELECT encode(body, 'hex') FROM event {place}")[0][0]
    suite.sql("crm_core", f"UPDATE event SET body = set_byte(body, 40, get_byte(body, 40) # 1) {place}")
    found = [one for one in command(suite, "doctor", code=1) if not one["ok"]]
    assert len(found) == 1 and found[0]["check"].startswith("log crm-core/main") and "#2" in found[0]["advice"], found
    suite.sql("crm_core", f"UPDATE event SET body = decode('{before}', 'hex') {place}")
    assert all(one["ok"] for one in command(suite, "doctor"))


def test_a_rotated_key_is_taken_up_and_nothing_is_lost(suite):
    token = suite.token()
    subprocess.run([BIN / "throughline", "keys", "rotate", "crm-core", "--data", suite.folder / "data"], check=True, timeout=30)
    lead = suite.lead(token, "after the rotation")
    facts = f"SELECT count(*) FROM fact WHERE metric = 'leads.created' AND key = '{lead['id']}'"
    wait_for(lambda: suite.sql("bi_aggregator", facts) == [["1"]], 30, "the figure after the rotation")
    wait_for(lambda: all(s["ready"] for s in command(suite, "status").values()), 20)


def test_a_reader_below_the_oldest_kept_event_takes_the_state_instead(suite):
    token = suite.token()
    lead = suite.lead(token, "before the hole")
    deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {"amount": {"amount": "70.00", "currency": "RUB"}})
    suite.post("crm-core", f"/api/v1/deals/{deal['id']}/stage", token, {"stage": "won"})
    stream = "crm-core/crm-core/main"
    taken = lambda: [t for t in suite.get("bi-aggregator", "/api/v1/bus", token)["takes"] if t["name"] == stream][0]
    facts = lambda: suite.sql("bi_aggregator", "SELECT metric, key FROM fact WHERE counted AND metric ~ '^(leads|deals|orders|money|funnel)' ORDER BY 1, 2")
    wait_for(lambda: taken()["lag"] == 0 and any(deal["id"] in row[1] and row[0] == "deals.won" for row in facts()))
    before = facts()
    # The aggregator has lost everything, and the days it would need are no longer kept.
    suite.sql("bi_aggregator", "TRUNCATE fact, cell, journey_slice; TRUNCATE inbox_run; DELETE FROM subscription_cursor WHERE publisher = 'crm-core' AND lane = 'main'")
    last = int(suite.sql("crm_core", "SELECT seq FROM stream_head WHERE stream = 'crm-core' AND lane = 'main'")[0][0])
    suite.sql("crm_core", f"UPDATE day_range SET before = (SELECT link FROM event_no WHERE stream = 'crm-core' AND lane = 'main' AND seq = {last - 1}), "
              f"first = {last} WHERE stream = 'crm-core' AND lane = 'main'; DELETE FROM event_run WHERE stream = 'crm-core' AND lane = 'main' AND last < {last}")
    for service in ["crm-core", "bi-aggregator"]:
        os.kill(suite.pids()[service], signal.SIGKILL)
    wait_for(lambda: requests_ok(suite, "bi-aggregator") and requests_ok(suite, "crm-core") and taken()["phase"].startswith("HOLE"), 40)
    assert facts() == []
    command(suite, "stream", "bootstrap", "bi-aggregator", stream, "--reason", "its database was lost")
    wait_for(lambda: taken()["phase"] == "LIVE" and facts() == before, 40, "the figures are as they were")
    decisions = suite.get("bi-aggregator", "/api/v1/bus/decisions", token)["items"]
    assert any(d["what"] == "bootstrap" and "were not taken" in d["outcome"] for d in decisions)


def test_the_gateway_gives_up_what_is_over_and_old_and_nothing_else(suite):
    """Twelve thousand old rows of each kind among young ones; what waits or stands aside stays whatever its age."""
    old, young = "now() - interval '93 days'", "now() - interval '80 days'"
    for connection, state, at, count in [("shop", "done", old, 12_000), ("shop", "kept", old, 3), ("shop", "done", young, 4), ("shop", "parked", old, 5),
                                         ("site", "done", old, 12_000), ("site", "done", young, 7)]:
        suite.sql("bot_gateway", "INSERT INTO incoming (connection, dedupe_key, received_at, state, body) SELECT "
                  f"'{connection}', 'old-{state}-' || ({at})::date || n, {at}, '{state}', 'body' FROM generate_series(1, {count}) AS n")
    for state, at, count in [("sent", old, 12_000), ("unknown", old, 2), ("sent", young, 3), ("ready", old, 1)]:
        suite.sql("bot_gateway", "INSERT INTO outbox (id, connection, chat, method, payload, author, text, state, created_at) SELECT gen_random_uuid(), "
                  f"'nobody', '1', 'sendMessage', '', 'bot', 'old', '{state}', {at} FROM generate_series(1, {count})")
    os.kill(suite.pids()["bot-gateway"], signal.SIGKILL)
    left = lambda: [suite.sql("bot_gateway", statement) for statement in (
        "SELECT connection, state, body <> '', count(*) FROM incoming WHERE dedupe_key LIKE 'old-%' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        "SELECT state, count(*) FROM outbox WHERE text = 'old' GROUP BY 1 ORDER BY 1")]
    wait_for(lambda: left() == [[["shop", "done", "t", "4"], ["shop", "parked", "t", "5"], ["site", "done", "f", "12000"], ["site", "done", "t", "7"]],
                                [["ready", "1"], ["sent", "3"]]], 60, "only what is over and old to be given up")
    suite.sql("bot_gateway", "DELETE FROM outbox WHERE text = 'old'; DELETE FROM incoming WHERE dedupe_key LIKE 'old-%'")
