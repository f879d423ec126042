"""Figures that stay right when what they are of changes, and those who may read them."""
import json
import os
import signal
import subprocess

import pytest
import requests
import zmq
from aiosmtpd.smtp import AuthResult
from suite import BIN, OneC, running, wait_for


def cells(suite, name, **params):
    return requests.get(suite.url("bi-aggregator") + f"/api/v1/metrics/{name}", params=params, timeout=20,
                        headers={"Authorization": f"Bearer {suite.token()}"})


def test_a_step_is_reached_once_and_taken_back_with_its_money(suite):
    onec, token = OneC(suite), suite.token()
    order = suite.order(token, "paid in parts", lines=[{"sku": "s", "name": "Станок", "quantity": "1", "price": "100.00"}])
    onec.take_orders()
    step = lambda: suite.sql("bi_aggregator", "SELECT counted, at, day FROM fact WHERE metric = 'funnel.reached' AND key = "
                             f"'paid/{order['journeyId']}'")
    money = lambda: suite.sql("bi_aggregator", "SELECT count(*) FROM fact WHERE metric = 'money.received' AND counted AND journey_id = "
                              f"'{order['journeyId']}'")[0][0]
    onec.open()
    onec.send(order["number"], "100.00", payments=[("p1", "40.00", True)])
    [first] = wait_for(step, what="the step")
    # As if it had been yesterday: what comes later must leave it there.
    suite.sql("bi_aggregator", "UPDATE fact SET at = at - interval '1 day', day = day - 1 WHERE metric = 'funnel.reached' AND key = "
              f"'paid/{order['journeyId']}'")
    [earlier] = step()
    onec.open()
    onec.send(order["number"], "100.00", payments=[("p1", "40.00", True), ("p2", "60.00", True)])
    wait_for(lambda: money() == "2", what="the second payment")
    assert step() == [earlier] and earlier[2] < first[2]
    onec.open()
    onec.send(order["number"], "100.00", payments=[])
    wait_for(lambda: money() == "0", what="the payments to be gone")
    assert wait_for(lambda: step()[0][0] == "f", what="the step to be taken back")


def test_a_range_of_months_and_of_hours_holds_its_edges(suite):
    suite.lead(suite.token(), "in this month")
    wait_for(lambda: cells(suite, "leads.created", grain="month").json()["items"])
    month = cells(suite, "leads.created", grain="month").json()["items"][0]["period"]
    day = cells(suite, "leads.created", grain="day").json()["items"][0]["period"]
    for grain, fro, to in [("month", f"{month}-02", f"{month}-02"), ("hour", day, day), ("day", day, day), ("month", f"{month}-31", f"{month}-31")]:
        found = cells(suite, "leads.created", grain=grain, **{"from": fro, "to": to}).json()["items"]
        assert found and all(c["period"].startswith(month) for c in found), grain
    assert cells(suite, "leads.created", grain="month", to="2020-01-31").json()["items"] == []
    for bad in [{"from": "abc"}, {"to": "2026-1-1"}, {"from": "2026-01-01"}, {"after": "x", "grain": "day"}]:
        assert cells(suite, "leads.created", **{"grain": "total" if bad == {"from": "2026-01-01"} else "day", **bad}).status_code == 400, bad
    walked, after = [], None
    while True:
        page = cells(suite, "leads.created", grain="hour", by="channel", limit=1, **({"after": after} if after else {})).json()
        walked += page["items"]
        after = page["next"]
        if not after:
            break
    assert walked == cells(suite, "leads.created", grain="hour", by="channel").json()["items"]


def test_a_campaign_is_known_before_the_crm_tells_of_its_lead(suite):
    """The gateway's own word is enough: which of two streams is read first must not change a figure."""
    crm = suite.pids()["crm-core"]
    os.kill(crm, signal.SIGSTOP)
    try:
        body = {"channel": "site", "conversationId": "campaign", "messageId": "1", "text": "цена?", "attribution": {"ref": "весна"}}
        journey = suite.post("bot-gateway", "/api/v1/messages", "form-key", body, status=202)["journeyId"]
        begun = f"SELECT campaign FROM journey_slice WHERE journey_id = '{journey}'"
        assert wait_for(lambda: suite.sql("bi_aggregator", begun), what="what the line began with") == [["весна"]]
    finally:
        os.kill(crm, signal.SIGCONT)


def test_letters_wait_for_a_password_and_can_be_sent_again(suite):
    token, mailbox = suite.token(), suite.mailbox
    wait_for(lambda: suite.sql("notifier", "SELECT 1 FROM recipient WHERE email = 'maria@example.ru'"), what="the staff to be known")
    mailbox.controller.SMTP_kwargs["authenticator"] = lambda *_: AuthResult(success=False, handled=False)
    try:
        body = {"to": "maria@example.ru", "template": "new_lead", "data": {"number": "7", "name": ""}, "dedupeKey": "password"}
        suite.post("notifier", "/api/v1/notifications", token, body, status=202)
        mine = lambda: next(n for n in suite.get("notifier", "/api/v1/notifications", token)["items"] if n["dedupeKey"] == "api/password")
        waiting = wait_for(lambda: mine() if mine()["attempts"] >= 1 and mine()["reason"] else None, what="the first attempt")
        assert waiting["state"] == "ready", "the letter is not to blame"
    finally:
        mailbox.controller.SMTP_kwargs["authenticator"] = mailbox.check
    wait_for(lambda: mine()["state"] == "sent", 30, "the letter to leave")
    assert "Новая заявка № 7" in [str(letter["Subject"]) for letter in mailbox.letters], "what is empty leaves nothing behind"
    again = requests.post(suite.url("notifier") + f"/api/v1/notifications/{mine()['id']}/resend", timeout=20, headers={"Authorization": f"Bearer {token}"})
    assert again.status_code == 409, "what was sent is not sent again"
    suite.sql("notifier", f"UPDATE notification SET state = 'failed', reason = 'mailbox unavailable' WHERE id = '{mine()['id']}'")
    before = len(mailbox.letters)
    again = requests.post(suite.url("notifier") + f"/api/v1/notifications/{mine()['id']}/resend", timeout=20, headers={"Authorization": f"Bearer {token}"})
    assert again.status_code == 202
    wait_for(lambda: mine()["state"] == "sent" and len(mailbox.letters) > before, 30, "the letter to leave again")
    for bad in ["after", "journeyId"]:
        answer = requests.get(suite.url("notifier") + "/api/v1/notifications", params={bad: "abc"}, timeout=20, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 400


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """A suite whose topics are bound beyond loopback: they ask for a key."""
    os.environ["HTTP_HOST"] = "0.0.0.0"
    try:
        with running(tmp_path_factory.mktemp("outside")) as suite:
            yield suite
    finally:
        del os.environ["HTTP_HOST"]


def test_a_reader_whose_key_is_taken_away_hears_nothing_more(outside):
    keys = lambda *words: subprocess.run([BIN / "throughline", "keys", *words, "--data", outside.folder / "data", "--json"], check=True, capture_output=True,
                                         text=True, timeout=30).stdout

    def listener(name):
        """A reader who has heard what there is; one who comes before his key is known is turned away for good, and comes again."""
        key = json.loads(keys("add", name))

        def connected():
            one = zmq.Context.instance().socket(zmq.SUB)
            one.linger = 0
            one.curve_serverkey, one.curve_publickey, one.curve_secretkey = (key[k].encode() for k in ("serverKey", "publicKey", "secretKey"))
            one.subscribe("metric/leads.created/total")
            one.connect(f"tcp://127.0.0.1:{outside.base + 303}")
            return one if hears(one, 1000) else one.close()
        return wait_for(connected, 30, "the reader to be let in")

    def hears(one, milliseconds):
        while one.poll(milliseconds):
            if json.loads(one.recv_multipart()[1])["by"] == []:
                return True
        return False

    outside.lead(outside.token(), "first")
    stays, goes = listener("stays"), listener("goes")
    gone = goes.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    keys("remove", "goes")
    assert gone.poll(10_000), "the open connection is cut"
    while goes.poll(200):
        goes.recv_multipart()
    while stays.poll(200):
        stays.recv_multipart()
    outside.lead(outside.token(), "second")
    assert hears(stays, 20_000) and not hears(goes, 500)
    # The figures' own key is changed: who has the new one gets in, without a restart.
    subprocess.run([BIN / "throughline", "keys", "rotate", "bi-aggregator", "--data", outside.folder / "data"], check=True, timeout=30)
    newcomer = listener("newcomer")
    for one in [stays, goes, newcomer]:
        one.close(0)
