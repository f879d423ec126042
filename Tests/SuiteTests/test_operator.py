"""The operator's command, and what each role of the database may reach."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
import requests
from suite import BIN, SERVICES, OneC, Suite, wait_for


def command(suite, *words, code=0):
    run = subprocess.run(
        [BIN / "throughline", *words, "--data", suite.folder / "data", "--port-base", str(suite.base)],
        capture_output=True, text=True, timeout=60)
    assert run.returncode == code, (run.stdout, run.stderr)
    return run.stdout


def test_the_commands_answer_people_and_programs(suite):
    suite.say(1, 11, "/start", name="Ольга")
    suite.telegram.next()
    token = suite.token()
    body = {"channel": "site", "conversationId": "c", "messageId": "1", "text": "Фреза",
            "sender": {"name": "Анна", "phone": "8 916 555-66-77"}}
    journey = suite.post("bot-gateway", "/api/v1/messages", "form-key", body, status=202)["journeyId"]
    lead = wait_for(lambda: (suite.get("crm-core", "/api/v1/leads", token, journeyId=journey)["items"] or [None])[0])
    deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {})
    line = {"sku": "F", "name": "Фреза", "quantity": "1", "price": "10.00"}
    number = suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", token,
                        {"currency": "RUB", "lines": [line]}, key="op")["number"]
    onec = OneC(suite)
    onec.open()
    wait_for(lambda: (onec.open(), onec.fetch())[1])
    assert "ready" in command(suite, "status")
    assert json.loads(command(suite, "status", "--json"))["crm-core"]["ready"] is True
    by_order = json.loads(command(suite, "journey", "--order", number, "--json"))
    assert by_order["id"] == journey and by_order["steps"]
    assert "Заявка" in command(suite, "journey", "--phone", "89165556677")
    assert command(suite, "journey", journey).startswith("20")
    assert "sale.query" in command(suite, "journal")
    assert json.loads(command(suite, "journal", "--json"))["items"]
    assert "nothing is parked" in command(suite, "parked")
    key = json.loads(command(suite, "keys", "add", "bi-tool", "--role", "reader", "--json"))
    assert len(key["secretKey"]) == 40 and "reader bi-tool" in command(suite, "keys", "list")
    assert all(f["ok"] for f in json.loads(command(suite, "doctor", "--json")))
    command(suite, "journey", "--order", "99999999", code=64)


def test_a_role_reaches_its_own_schema_only(suite):
    schemas = [s.replace("-", "_") for s in SERVICES]
    for own in schemas:
        assert suite.sql(own, f"SELECT count(*) FROM {own}.event")
        for other in schemas:
            if other != own:
                assert "permission denied" in suite.sql_error(own, f"SELECT 1 FROM {other}.event")
        assert "permission denied" in suite.sql_error(own, "CREATE TABLE public.x (n int)")
        assert "permission denied" in suite.sql_error(own, "CREATE DATABASE other")
    assert suite.sql("bi_reader", "SELECT count(*) FROM bi.metric_values")
    assert "permission denied" in suite.sql_error("bi_reader", "SELECT 1 FROM bi_aggregator.fact")
    assert "read-only" in suite.sql_error("bi_reader", "CREATE TABLE bi.x (n int)")
    uncommented = suite.sql("bi_aggregator", """
        SELECT c.relname, a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE n.nspname = 'bi' AND col_description(c.oid, a.attnum) IS NULL""")
    assert uncommented == [], "every column of the views is commented"


def test_wrong_settings_are_all_named_at_once(suite, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("company: { currency: ROUBLE, timeZone: Europe/Moskow }\nhttp: { proxies: \"10.0.0.0/40\" }\nsmpt: {}\nbots:\n  - { name: a, token: x, receive: push }\n"
                     "organizations:\n  - { code: a, name: A, base: ut, books: { payment: bp, gift: ut } }\nonec:\n  - { base: ut, login: a, password: b }\n")
    run = subprocess.run([BIN / "throughline", "up", "--config", wrong, "--data", tmp_path / "d"],
                         capture_output=True, text=True, timeout=60)
    assert run.returncode == 78
    for word in ["line 1, column", "ROUBLE", "Europe/Moskow", "«10.0.0.0/40» is no address", "smpt", "token", "push", "books.gift: unknown", "names the base «bp»"]:
        assert word in run.stderr, run.stderr


def test_a_port_for_five_is_refused(tmp_path):
    run = subprocess.run([BIN / "throughline", "up", "--data", tmp_path / "d"], capture_output=True, text=True, timeout=60,
                         env={**os.environ, "HTTP_PORT": "9000"})
    assert run.returncode == 78 and "--port-base" in run.stderr


def test_a_database_of_ones_own_whose_user_is_no_superuser(tmp_path_factory):
    """As managed servers give one: a role that may make roles, and a database that is its own."""
    folder = tmp_path_factory.mktemp("managed")
    folder.chmod(0o755)
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    lower = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
    # Where the server's own user may go: the folders of tests are root's.
    home = tempfile.TemporaryDirectory(prefix="tl-managed-")
    place = Path(home.name)
    if lower:
        shutil.chown(place, "postgres", "postgres")
    subprocess.run([*lower, programs / "initdb", "-D", place, "-U", "root", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"], check=True, cwd="/",
                   stdout=subprocess.DEVNULL)
    suite = Suite(folder)
    port = suite.base + 390
    server = subprocess.Popen([*lower, programs / "postgres", "-D", place, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
                               "-c", "unix_socket_directories="], stderr=subprocess.DEVNULL, cwd="/")
    ask = lambda database, words: subprocess.run(["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "root", "-d", database, "-c", words],
                                                 capture_output=True).returncode == 0
    try:
        wait_for(lambda: ask("postgres", "SELECT 1"), 30, "the server")
        assert ask("postgres", "CREATE ROLE tl LOGIN CREATEROLE PASSWORD 'p'") and ask("postgres", "CREATE DATABASE crm OWNER tl")
        os.environ["DATABASE_URL"] = f"postgres://tl:p@127.0.0.1:{port}/crm"
        suite.start()
        suite.lead(suite.token(), "in a database of one's own")
        findings = json.loads(command(suite, "doctor", "--json"))
        assert all(f["ok"] for f in findings) and any(f["check"].startswith("log crm-core/main: ") for f in findings)
    finally:
        os.environ.pop("DATABASE_URL", None)
        suite.stop()
        server.send_signal(signal.SIGINT)
        server.wait(20)
        home.cleanup()


def test_a_killed_service_is_back_within_a_second_and_sigterm_drains(suite):
    for name in SERVICES:
        old = suite.pids()[name]
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: suite.pids().get(name, old) != old, 10, f"{name} again")
    # The second that the operator is promised is the supervisor's pause; a slow machine takes longer to begin a process.
    assert "starting it again in" not in (suite.folder / "suite.log").read_text()
    wait_for(suite.ready, 30)
    pid = suite.pids()["crm-core"]
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: suite.pids().get("crm-core", pid) != pid, 10, "SIGTERM drains within ten seconds")
    wait_for(suite.ready, 30)
    assert "crm-core ended (code 0)" in (suite.folder / "suite.log").read_text()
