"""How each way to the outside does: last success, what waits, and how much came to nothing (JRN-12)."""
import os
import signal

import requests
from suite import OneC, wait_for


def connectors(suite, service, login="admin"):
    answer = suite.get(service, "/api/v1/connectors", suite.token(login))
    return {(c["kind"], c["name"], c["direction"]): c for c in answer["items"]}


def test_each_way_is_shown_before_anything_has_passed(suite):
    found = connectors(suite, "bot-gateway")
    assert {("telegram", bot, way) for bot in ("shop", "polled") for way in ("in", "out")} <= set(found)
    assert ("mail", "smtp", "out") in connectors(suite, "notifier")
    bridge = connectors(suite, "accounting-bridge")
    assert {("commerceml", "unf", "both"), ("commerceml", "ut", "both")} <= set(bridge) and any(kind == "bank" for kind, _, _ in bridge)
    assert connectors(suite, "bi-aggregator") == {}
    refused = requests.get(suite.url("bot-gateway") + "/api/v1/connectors", headers={"Authorization": f"Bearer {suite.token('maria')}"}, timeout=20)
    assert refused.status_code == 403


def test_telegram_mail_and_a_channel(suite):
    way = lambda direction: connectors(suite, "bot-gateway")["telegram", "shop", direction]
    before = way("out")
    assert suite.say(1, 81_001, "/start").status_code == 200
    assert suite.telegram.next()["chat_id"] == 81_001
    told = wait_for(lambda: (lambda w: w if w["attempts"] > before["attempts"] else None)(way("out")), what="the reply to be counted")
    assert told["lastSuccess"] and told["trouble"] is None and way("in")["attempts"] >= 1 and way("in")["lastSuccess"]
    # One that Telegram refuses is a trouble until the next one passes.
    suite.telegram.plan = [(403, {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"})]
    assert suite.say(2, 81_002, "/start").status_code == 200
    failed = wait_for(lambda: (lambda w: w if w["troubles"] > told["troubles"] else None)(way("out")), what="the trouble")
    assert "blocked by the user" in failed["trouble"] and failed["troubleSince"] and failed["lastSuccess"] == told["lastSuccess"]
    assert suite.say(3, 81_003, "/start").status_code == 200
    assert suite.telegram.next()["chat_id"] == 81_003
    healed = wait_for(lambda: (lambda w: w if w["trouble"] is None else None)(way("out")), what="it to be over")
    assert healed["troubleSince"] is None and healed["troubles"] == failed["troubles"] and healed["lastSuccess"] > told["lastSuccess"]
    assert wait_for(lambda: connectors(suite, "bot-gateway")["telegram", "polled", "in"]["attempts"] >= 1, what="a poll")
    suite.lead(suite.token(), "connected")
    assert connectors(suite, "bot-gateway")["messages", "site", "in"]["lastSuccess"]
    mail = wait_for(lambda: (lambda w: w if w["attempts"] else None)(connectors(suite, "notifier")["mail", "smtp", "out"]), what="a letter")
    assert mail["lastSuccess"] and mail["troubles"] == 0
    # What was counted outlives the process.
    os.kill(suite.pids()["bot-gateway"], signal.SIGKILL)

    def again():
        try:
            return connectors(suite, "bot-gateway")["telegram", "shop", "out"]
        except requests.ConnectionError:
            return None
    assert wait_for(again, what="the gateway to be there again")["troubles"] >= failed["troubles"]


def test_what_is_no_update_is_a_trouble(suite):
    answer = requests.post(suite.url("bot-gateway") + "/telegram/shop/webhook", data=b"<html>", timeout=20,
                           headers={"X-Telegram-Bot-Api-Secret-Token": suite.secrets[2]})
    assert answer.status_code == 400
    wait_for(lambda: connectors(suite, "bot-gateway")["telegram", "shop", "in"]["troubles"] >= 1, what="the trouble")


def test_the_page(suite):
    OneC(suite).open()
    session = requests.Session()
    session.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = session.get(suite.url("crm-core") + "/connectors", timeout=20).text
    for words in ("Связи", "Telegram shop", "Telegram polled", "Почта smtp", "1С, обмен с сайтом: unf", "Выписки банка"):
        assert words in page, words
    assert 'href="/connectors"' in session.get(suite.url("crm-core") + "/flow", timeout=20).text
    assert not any(secret in page for secret in suite.secrets)
    english = session.get(suite.url("crm-core") + "/connectors?lang=en", timeout=20).text
    assert "Connections" in english and "1C, site exchange: unf" in english
