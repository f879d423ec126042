"""deploy/monitoring with Debian's real promtool and prometheus, against what the running services export."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import requests
import yaml
from suite import SERVICES, wait_for

FOLDER = Path(__file__).parents[2] / "deploy/monitoring"
ALERTS = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
METRIC = re.compile(r"\b(throughline_\w+)")
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus")),
    reason="prometheus and promtool are not installed: deploy/install monitoring")


def expressions():
    """Where it stands → expression: every panel, variable and annotation of the dashboard."""
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    found = {(panel["title"], target["refId"]): target["expr"]
             for panel in board["panels"] for target in panel.get("targets", [])}
    found |= {("annotation", one["name"]): one["expr"] for one in board["annotations"]["list"]}
    return found


def promtool(*words, text=None):
    run = subprocess.run(["promtool", *map(str, words)], input=text, cwd=FOLDER, capture_output=True, text=True, timeout=120)
    return run.returncode, run.stdout + run.stderr


@pytest.fixture(scope="module")
def exported(suite):
    """Service → its metrics' text, with something said, sent and refused."""
    suite.say(1, 11, "/start")
    suite.telegram.next()
    suite.order(suite.token(), "monitored")
    return {service: requests.get(suite.url(service) + "/metrics", timeout=20).text for service in SERVICES}


@needs_prometheus
@pytest.mark.parametrize("words", [
    ("check", "config", "prometheus.yml"), ("check", "config", "prometheus-compose.yml"),
    ("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")], ids=" ".join)
def test_promtool_accepts(words):
    code, said = promtool(*words)
    assert code == 0, said


def test_an_alarm_says_in_two_languages_what_is_wrong_and_what_to_do():
    for rule in ALERTS:
        words = rule["annotations"]
        assert rule["for"] and rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert set(words) == {f"{kind}{language}" for kind in ("summary", "description") for language in ("", "_en")}, rule["alert"]
        assert all(re.search("[а-я]", words[kind]) for kind in ("summary", "description")), rule["alert"]
        assert not any(re.search("[а-яА-Я]", words[kind]) for kind in ("summary_en", "description_en")), rule["alert"]
        assert all("`throughline " in words[kind] for kind in ("description", "description_en")), rule["alert"]


def test_every_metric_that_is_asked_for_is_exported(exported):
    names = set()
    for text in exported.values():
        # A family without a sample now (nothing is parked, say) is known by its type.
        names |= set(re.findall(r"^# TYPE (\S+) (?:gauge|counter)$", text, re.M)) | set(re.findall(r"^(\w+)[{ ]", text, re.M))
    asked = [rule["expr"] for rule in ALERTS] + list(expressions().values())
    missing = {name for expression in asked for name in METRIC.findall(expression)} - names
    assert not missing


@needs_prometheus
@pytest.mark.parametrize("service", SERVICES)
def test_promtool_reads_what_a_service_exports(exported, service):
    code, said = promtool("check", "metrics", text=exported[service])
    # 3: it can be read, and its naming is remarked on.
    assert code in (0, 3), said
    print(said)


@pytest.fixture(scope="module")
def prometheus(exported, suite, tmp_path_factory):
    """Debian's Prometheus, told by our own configuration where this suite is; it looks each second."""
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copy(FOLDER / "alerts.yml", folder)
    text = (FOLDER / "prometheus.yml").read_text()
    text = re.sub(r"127\.0\.0\.1:80(8\d)", lambda port: f"127.0.0.1:{suite.base + int(port[1]) - 80}", text)
    text = text.replace("scrape_interval: 5s\n  scrape_timeout: 4s\n  evaluation_interval: 5s",
                        "scrape_interval: 2s\n  scrape_timeout: 2s\n  evaluation_interval: 1s")
    (folder / "prometheus.yml").write_text(text)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address={address}"], cwd=folder, stdout=log, stderr=log)

    def ask(path, **params):
        assert process.poll() is None, (folder / "log").read_text()[-3000:]
        try:
            answer = requests.get(f"http://{address}/api/v1/{path}", params=params, timeout=20)
        except requests.ConnectionError:
            return None
        # Until it has read its log it answers 503.
        return answer.json() if answer.headers.get("Content-Type", "").startswith("application/json") else None

    yield ask
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@needs_prometheus
def test_prometheus_sees_five_services_that_lead(prometheus):
    def targets():
        answer = prometheus("targets")
        return answer and {t["labels"]["job"]: (t["health"], t["lastError"]) for t in answer["data"]["activeTargets"]}

    wait_for(lambda: targets() == {service: ("up", "") for service in SERVICES}, 60, "every target's health")
    leading = wait_for(lambda: len(found := prometheus("query", query="throughline_leading")["data"]["result"]) == 5 and found)
    assert {one["metric"]["job"]: one["value"][1] for one in leading} == {service: "1" for service in SERVICES}


@needs_prometheus
def test_every_rule_is_evaluated_and_a_healthy_suite_alarms_nobody(prometheus):
    def rules():
        answer = prometheus("rules")
        return answer and [rule for group in answer["data"]["groups"] for rule in group["rules"]]

    assert {rule["name"] for rule in wait_for(rules, 60)} == {rule["alert"] for rule in ALERTS}
    wait_for(lambda: all(rule["health"] == "ok" for rule in rules()), 60, "every rule's evaluation")
    # Not even on its way to an alarm.
    wait_for(lambda: all(rule["state"] == "inactive" for rule in rules()), 90, "quiet")


@needs_prometheus
def test_the_dashboard_shows_something_in_every_panel(prometheus):
    # Nothing is wrong here, so these are empty; that Prometheus accepts them is checked all the same.
    quiet = {"Тревоги сейчас", "Тревоги", "Кто кого ждёт и сколько", "Отложено, по видам", "Отложено сейчас"}
    empty = dict(expressions())

    def all_shown():
        for place, expression in list(empty.items()):
            for variable, value in {"$__rate_interval": "15s", "$job": ".*"}.items():
                expression = expression.replace(variable, value)
            answer = prometheus("query", query=expression)
            assert answer["status"] == "success", (place, answer)
            if answer["data"]["result"] or quiet & set(place):
                del empty[place]
        return not empty

    try:
        wait_for(all_shown, 60)
    except AssertionError as error:
        raise AssertionError(f"no data for {empty}") from error


@needs_prometheus
def test_a_service_that_hangs_is_one_alarm_until_somebody_ends_it(prometheus, suite):
    def firing():
        return {(a["labels"]["alertname"], a["labels"]["job"], a["annotations"]["summary"])
                for a in prometheus("alerts")["data"]["alerts"] if a["state"] == "firing"}

    pid = suite.pids()["notifier"]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: firing() == {("ThroughlineServiceDown", "notifier", "notifier не отвечает")}, 60, "the one alarm")
    finally:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not firing(), 60, "the alarm's end")
