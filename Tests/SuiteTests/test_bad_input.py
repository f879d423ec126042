"""What cannot be understood gets its documented answer, is kept, and stops nothing."""
import requests
from suite import SECRET, OneC, wait_for


def hook(suite, body, secret=SECRET):
    return requests.post(suite.url("bot-gateway") + "/telegram/shop/webhook", data=body,
                         headers={"X-Telegram-Bot-Api-Secret-Token": secret}, timeout=30)


def test_the_webhook_refuses_in_words(suite):
    assert hook(suite, b'{"update_id":1}', secret="wrong").status_code == 401
    for body in [b'{"update_id":1,', b"", b"[]", b'{"message":{}}', b"[" * 10_000 + b"]" * 10_000]:
        answer = hook(suite, body)
        assert answer.status_code == 400 and answer.json()["type"].endswith("/bad-request"), body[:20]
    assert hook(suite, b'{"update_id":2,"x":"' + b"a" * 10_000_000 + b'"}').status_code == 413
    assert hook(suite, b'{"update_id":3,"something_new":{"x":1}}').status_code == 200
    nul = '{"update_id":4,"message":{"message_id":4,"from":{"id":5,"first_name":"a\\u0000b"},"chat":{"id":5,"type":"private"},"date":1,"text":"a\\u0000b"}}'
    assert hook(suite, nul.encode()).status_code == 200
    assert suite.telegram.next()["chat_id"] == 5, "what came after still works"


def test_1c_gets_an_answer_for_everything(suite):
    stranger = OneC(suite, password="wrong")
    answer = stranger.call("checkauth")
    assert answer.status_code == 401 and answer.text.startswith("failure")
    onec = OneC(suite)
    onec.open()
    assert onec.call("init").text.count("\n") == 1, "УТ wants exactly two lines"
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
    for name, body in [("bomb.xml", bomb), ("deep.xml", b"<a>" * 5000), ("not.xml", b"hello"), ("zip.xml", b"PK\x03\x04xx")]:
        assert onec.call("file", body, filename=name).text == "success", name
        assert onec.call("import", filename=name).text.startswith("failure"), name
    onec.call("file", "<КоммерческаяИнформация><Документ><Номер>1".encode(), filename="cut.xml")
    assert onec.call("import", filename="cut.xml").text.startswith("failure")
    onec.send(999999, "1.00", encoding="windows-1251")
    assert onec.call("something-new").text == "success"
    token = suite.token()
    parked = suite.get("accounting-bridge", "/api/v1/parked", token)["items"]
    assert any("999999" in (p["number"] or p["reason"]) for p in parked)
    assert any("DOCTYPE" in p["reason"] for p in parked)
    exchanges = suite.get("accounting-bridge", "/api/v1/exchanges", token, limit=200)["items"]
    assert {"sale.checkauth", "sale.file", "sale.import"} <= {e["kind"] for e in exchanges}
    raw = suite.get("accounting-bridge", f"/api/v1/exchanges/{exchanges[-1]['id']}", token)
    assert raw["answer"]


def test_the_api_says_what_is_wrong(suite):
    url = suite.url("bot-gateway") + "/api/v1/messages"
    headers = {"Authorization": "Bearer form-key"}
    assert requests.post(url, data=b"{", headers=headers, timeout=20).status_code == 400
    assert requests.post(url, json={"channel": "site"}, headers=headers, timeout=20).status_code == 400
    other = {"channel": "vk", "conversationId": "1", "messageId": "1"}
    assert requests.post(url, json=other, headers=headers, timeout=20).status_code == 403
    login = suite.url("crm-core") + "/api/v1/sessions"
    codes = [requests.post(login, json={"login": "nobody", "password": "x"}, timeout=20).status_code for _ in range(10)]
    assert codes[0] == 401 and codes[-1] == 429
    assert wait_for(suite.ready)
