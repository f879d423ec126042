"""Processes die while a burst is under way; nothing is lost and nothing comes twice."""
import os
import random
import signal
import threading

import requests
from suite import SERVICES, wait_for

COUNT = int(os.environ.get("THROUGHLINE_BURST", "300"))


def burst(suite, first, count):
    """Posts until each update was acknowledged, as Telegram does."""
    left = list(range(first, first + count))
    random.Random(1).shuffle(left)
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not left:
                    return
                number = left.pop()
            try:
                done = suite.say(number, number, "Нужен станок").status_code == 200
            except requests.RequestException:
                done = False
            if not done:
                with lock:
                    left.append(number)
                threading.Event().wait(0.05)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    return threads


def leads(suite, token):
    found, after = [], None
    while True:
        page = suite.get("crm-core", "/api/v1/leads", token, limit=200, **({"after": after} if after else {}))
        found += page["items"]
        after = page["next"]
        if not after:
            return found


def all_there(suite, count):
    token = suite.token()
    found = wait_for(lambda: (lambda l: l if len(l) >= count else None)(leads(suite, token)), 120, "all leads")
    assert len(found) == count and len({l["journeyId"] for l in found}) == count
    return token, found


def test_killed_services_and_a_restarted_database_lose_nothing(suite):
    threads = burst(suite, 100_000, COUNT)
    chance = random.Random(2)
    for _ in range(8):
        for name in SERVICES:
            pid = suite.pids().get(name)
            if pid:
                os.kill(pid, signal.SIGKILL)
            threading.Event().wait(chance.uniform(0.05, 0.3))
    os.kill(suite.postgres_pid(), signal.SIGQUIT)  # an immediate shutdown: crash recovery follows
    for thread in threads:
        thread.join(120)
    wait_for(suite.ready, 60)
    token, found = all_there(suite, COUNT)
    wait_for(lambda: all(s["phase"] == "LIVE" and s["seq"] == s["head"] for name in SERVICES
                         for s in requests.get(suite.url(name) + "/readyz", timeout=5).json()["subscriptions"]), 60)
    for lead in random.Random(3).sample(found, 20):
        steps = suite.get("crm-core", f"/api/v1/journeys/{lead['journeyId']}", token)["steps"]
        ids = [s["id"] for s in steps]
        assert len(set(ids)) == len(ids)
        assert all(s["causedBy"] in ids for s in steps[1:])
        assert [s["kind"] for s in steps].count("crm.lead.created") == 1


def test_after_ctrl_c_nothing_runs_and_nothing_is_lost(suite):
    before = len(leads(suite, suite.token()))
    suite.stop()
    assert suite.process.returncode == 0
    assert suite.pids() == {}
    suite.start()
    assert len(leads(suite, suite.token())) == before
