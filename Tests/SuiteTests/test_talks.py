"""Talks under strain: nobody is held up by another, nothing that was said is lost, and no stranger takes over what is another's."""
import base64
import json
import re
import socket
import time
import uuid

import requests
from suite import SECRET, wait_for
from test_forms import lead, post


def reader(suite, path, **params):
    return requests.get(suite.url("crm-core") + path, params=params, headers={"Authorization": f"Bearer {suite.token()}"}, timeout=20)


def test_an_input_that_no_number_holds_ends_no_process(suite):
    before = suite.pids()
    for position in [2**63 - 1, -1, 2**63]:
        cursor = base64.urlsafe_b64encode(json.dumps({"crm-core": position}).encode()).decode().rstrip("=")
        assert reader(suite, "/api/v1/events", after=cursor).status_code == 400, position
    for number, date in [(91_001, 2**63 - 1), (91_002, -5), (91_003, 253_402_300_800)]:
        update = {"update_id": number, "message": {"message_id": 1, "from": {"id": number, "first_name": "Я"}, "date": date,
                                                  "chat": {"id": number, "type": "private"}, "text": "/start"}}
        answer = requests.post(suite.url("bot-gateway") + "/telegram/shop/webhook", json=update, timeout=20,
                               headers={"X-Telegram-Bot-Api-Secret-Token": SECRET})
        assert answer.status_code == 200
    kept = "SELECT count(*) FROM incoming WHERE state = 'kept' AND convert_from(body, 'UTF8') ~ '\"update_id\": ?9100[123]'"
    wait_for(lambda: suite.sql("bot_gateway", kept) == [["3"]], what="what cannot be understood to be kept")
    suite.say(91_004, 91_004, "/start")
    assert suite.telegram.next()["chat_id"] == 91_004
    assert suite.pids() == before, "nobody had to be started anew"


def test_one_talk_with_many_replies_holds_no_other_up(suite):
    suite.say(92_000, 92_000, "/start")
    while suite.telegram.next()["chat_id"] != 92_000:
        pass
    talk = suite.sql("bot_gateway", "SELECT id FROM conversation WHERE external_id = '92000'")[0][0]
    suite.sql("bot_gateway", f"""INSERT INTO outbox (id, connection, chat, conversation_id, method, payload, author, text)
        SELECT gen_random_uuid(), 'shop', '92000', '{talk}', 'sendMessage', convert_to('{{"chat_id":92000,"text":"' || n || '"}}', 'UTF8'), 'bot', n::text
        FROM generate_series(1, 400) AS n""")
    said = time.monotonic()
    suite.say(92_001, 92_001, "/start")
    while suite.telegram.next()["chat_id"] != 92_001:
        pass
    assert time.monotonic() - said < 10, "the other's hundreds of replies leave at one a second"
    suite.sql("bot_gateway", "DELETE FROM outbox WHERE chat = '92000' AND state = 'ready'")
    wait_for(lambda: suite.sql("bot_gateway", "SELECT count(*) FROM outbox WHERE state = 'sending'") == [["0"]], what="what is under way to arrive")


def test_a_reply_that_telegram_fails_on_is_tried_again_and_later_each_time(suite):
    down = (500, {"ok": False, "error_code": 500, "description": "Internal Server Error"})
    suite.telegram.plan = [down, down, down]
    suite.say(93_000, 93_000, "/start")
    waits = "SELECT attempts, state, not_before > now() + interval '4 s' FROM outbox WHERE chat = '93000' AND method = 'sendMessage'"
    # After 3 and 6 seconds; then it is 12.
    wait_for(lambda: suite.sql("bot_gateway", waits) == [["3", "ready", "t"]], what="the third attempt, and a longer pause")
    while suite.telegram.next()["chat_id"] != 93_000:
        pass


def test_a_reply_waits_for_a_telegram_that_cannot_be_reached(suite):
    """However often it is tried, none of it is an attempt of the reply's own."""
    row = "SELECT attempts, state, reason IS NOT NULL FROM outbox WHERE chat = '93001' AND method = 'sendMessage'"
    with suite.telegram.away():
        suite.say(93_001, 93_001, "/start")
        wait_for(lambda: suite.sql("bot_gateway", row) == [["0", "ready", "t"]], what="the reply to be put back")
    while suite.telegram.next()["chat_id"] != 93_001:
        pass


def test_a_managers_reply_with_a_key_is_said_once(suite):
    token = suite.token()
    made = suite.post("bot-gateway", "/api/v1/messages", "form-key", {"channel": "site", "conversationId": "once", "messageId": "1", "text": "здравствуйте"}, status=202)
    path, key = f"/api/v1/conversations/{made['conversationId']}/messages", str(uuid.uuid4())
    wait_for(lambda: suite.get("bot-gateway", path, token)["items"])
    say = lambda text, key: requests.post(suite.url("bot-gateway") + path, json={"text": text}, timeout=20,
                                          headers={"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key else {})})
    first, again = say("Добрый день", key), say("Добрый день", key)
    assert first.status_code == again.status_code == 202 and first.json() == again.json()
    assert say("Другое", key).status_code == 422
    assert say("Без ключа", None).status_code == 202
    texts = [m["text"] for m in suite.get("bot-gateway", path, token)["items"] if m["author"] == "manager"]
    assert texts == ["Добрый день", "Без ключа"]
    for bad in [{"journeyId": "x"}, {"updatedSince": "yesterday"}, {"after": "x"}]:
        answer = requests.get(suite.url("bot-gateway") + "/api/v1/conversations", params=bad, headers={"Authorization": f"Bearer {token}"}, timeout=20)
        assert answer.status_code == 400, bad


def test_a_button_that_is_pressed_twice_says_it_once(suite):
    made = suite.post("bot-gateway", "/api/v1/messages", "form-key", {"channel": "site", "conversationId": "twice", "messageId": "1", "text": "алло"}, status=202)
    found = lead(suite, made["journeyId"])
    session = requests.Session()
    session.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = session.get(suite.url("crm-core") + f"/leads/{found['id']}", timeout=20).text
    form = dict(re.findall(r'name="(csrf|journey|page)" value="([^"]*)"', page))
    for text in ["Слушаю", "Слушаю", "Чем помочь?"]:
        answer = session.post(suite.url("crm-core") + f"/conversations/{made['conversationId']}/reply", data={**form, "text": text}, timeout=20)
        assert answer.status_code == 200, answer.text
    said = lambda: [m["text"] for m in suite.get("bot-gateway", f"/api/v1/conversations/{made['conversationId']}/messages", suite.token())["items"]
                    if m["author"] == "manager"]
    assert wait_for(lambda: said() if "Чем помочь?" in said() else None) == ["Слушаю", "Чем помочь?"]


def test_a_manager_sees_his_own_clients_and_those_who_are_nobodys(suite):
    token, maria, oleg = suite.token(), suite.token("maria"), suite.token("oleg")
    found = suite.lead(token, "чей-то клиент")
    owner, other = (maria, oleg) if found["responsible"] == "Мария Петрова" else (oleg, maria)
    mine = lambda who: {c["id"] for c in suite.get("crm-core", "/api/v1/contacts", who, limit=200)["items"]}
    assert found["responsibleId"] and found["contactId"] in mine(owner) and found["contactId"] not in mine(other)
    url = suite.url("crm-core") + f"/api/v1/contacts/{found['contactId']}"
    for who, status in [(owner, 200), (other, 404), (token, 200)]:
        assert requests.get(url, headers={"Authorization": f"Bearer {who}"}, timeout=20).status_code == status
    changed = requests.patch(url, json={"name": "Моё"}, headers={"Authorization": f"Bearer {other}", "If-Match": "1"}, timeout=20)
    assert changed.status_code == 404
    nobodys = suite.post("crm-core", "/api/v1/contacts", token, {"name": "Ничей"}, status=201)["id"]
    assert nobodys in mine(maria) and nobodys in mine(oleg)


def test_the_lines_of_a_client_are_a_list_as_others(suite):
    token = suite.token()
    for number in range(3):
        suite.post("bot-gateway", "/api/v1/messages", "form-key", {"channel": "site", "conversationId": f"again {number}", "messageId": "1", "text": "?",
                                                                  "sender": {"name": "Повтор", "phone": "+79125550011"}}, status=202)
    leads = wait_for(lambda: (lambda r: r if len(r) == 3 else None)(
        [l for l in suite.get("crm-core", "/api/v1/leads", token, limit=200)["items"] if l["name"] == "Повтор"]))
    suite.sql("crm_core", f"UPDATE lead SET contact_id = '{leads[0]['contactId']}' WHERE name = 'Повтор'")
    walked, after = [], None
    while True:
        page = suite.get("crm-core", "/api/v1/journeys", token, contactId=leads[0]["contactId"], limit=1, **({"after": after} if after else {}))
        walked += [line["id"] for line in page["items"]]
        after = page["next"]
        if not after:
            break
    assert sorted(walked) == sorted(l["journeyId"] for l in leads)


def test_a_stranger_who_types_a_known_number_takes_nothing_over(suite):
    ivan = {"name": "Иван Фёдоров", "phone": "+7 912 777 00 11", "email": "ivan@example.ru"}
    first = post(suite, data=ivan).json()
    theirs = lead(suite, first["journeyId"])
    second = post(suite, data={"name": "Ольга Чужая", "phone": "+7 912 777 00 11", "email": "olga@example.ru"}).json()
    other = lead(suite, second["journeyId"])
    assert second["journeyId"] != first["journeyId"] and other["name"] == "Ольга Чужая"
    assert lead(suite, first["journeyId"])["name"] == "Иван Фёдоров"
    contact = suite.get("crm-core", f"/api/v1/contacts/{theirs['contactId']}", suite.token())
    assert (contact["name"], contact["email"]) == ("Иван Фёдоров", "ivan@example.ru")
    assert post(suite, data={**ivan, "text": "ещё вопрос"}).json()["journeyId"] == first["journeyId"], "he himself goes on"
    # A talk from when forms went by the number alone goes on, too.
    suite.sql("bot_gateway", f"UPDATE conversation SET external_id = 'form:+79127770011' WHERE journey_id = '{first['journeyId']}'")
    assert post(suite, data={**ivan, "text": "и ещё"}).json()["journeyId"] == first["journeyId"]
    assert post(suite, data={**ivan, "name": "Пётр"}).json()["journeyId"] not in (first["journeyId"], second["journeyId"])


def test_what_a_person_put_right_stays(suite):
    token = suite.token()
    person = {"name": "ваня", "phone": "+7 912 777 00 22", "email": "old@example.ru"}
    found = lead(suite, post(suite, data=person).json()["journeyId"])
    contact = lambda: suite.get("crm-core", f"/api/v1/contacts/{found['contactId']}", token)
    changed = requests.patch(suite.url("crm-core") + f"/api/v1/contacts/{found['contactId']}", json={"name": "Иван Петров"}, timeout=20,
                             headers={"Authorization": f"Bearer {token}", "If-Match": str(contact()["version"])})
    assert changed.status_code == 200, changed.text
    suite.post("crm-core", f"/api/v1/leads/{found['id']}/reject", token, {"reason": "проба"})
    wait_for(lambda: suite.sql("bot_gateway", f"SELECT journey_open FROM conversation WHERE journey_id = '{found['journeyId']}'") == [["f"]])
    again = lead(suite, post(suite, data={**person, "email": "new@example.ru", "text": "снова"}).json()["journeyId"])
    assert again["id"] != found["id"] and again["contactId"] == found["contactId"]
    wait_for(lambda: contact()["email"] == "new@example.ru", what="his own new address")
    assert contact()["name"] == "Иван Петров"


def test_a_number_that_a_person_put_right_stays(suite):
    token, spoken = suite.token(), iter(range(9))
    def says(phone):
        number = next(spoken)
        return suite.post("bot-gateway", "/api/v1/messages", "form-key", {"channel": "site", "conversationId": "own number", "messageId": str(number),
                                                                          "text": f"звоните {phone}", "sender": {"name": "Вера", "phone": phone}}, status=202)
    found = lead(suite, says("+79127770031")["journeyId"])
    contact = lambda: suite.get("crm-core", f"/api/v1/contacts/{found['contactId']}", token)
    said = lambda: lead(suite, found["journeyId"])["phone"]
    wait_for(lambda: contact()["phone"] == "+79127770031", what="his number")
    old = contact()
    says("+79127770032")
    wait_for(lambda: contact()["phone"] == "+79127770032", what="what he said himself he may say otherwise")
    before, began = contact(), suite.sql("crm_core", "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")[0][0]
    put = lambda phone, version: requests.patch(suite.url("crm-core") + f"/api/v1/contacts/{found['contactId']}", json={"phone": phone}, timeout=20,
                                                headers={"Authorization": f"Bearer {token}", "If-Match": str(version)}).status_code
    assert put("+79127770039", old["version"]) == 412, "the client's own change was one, too"
    assert put("+79127770039", before["version"]) == 200 and contact()["version"] == before["version"] + 1
    says("+79127770033")
    wait_for(lambda: said() == "+79127770033", what="the lead to know what he said last")
    assert contact()["phone"] == "+79127770039"
    # Also one that the client himself had named before.
    assert put("+79127770033", contact()["version"]) == 200
    says("+79127770034")
    wait_for(lambda: said() == "+79127770034", what="the lead to know it")
    assert contact()["phone"] == "+79127770033"
    history = suite.get("crm-core", f"/api/v1/clients/{found['contactId']}/changes", token)["items"]
    assert [(c["field"], c["oldValue"], c["newValue"]) for c in history] == [("phone", "+79127770039", "+79127770033"),
                                                                             ("phone", "+79127770032", "+79127770039")]
    mine, other = [suite.token(login) for login in (("maria", "oleg") if found["responsible"] == "Мария Петрова" else ("oleg", "maria"))]
    seen = lambda who: requests.get(suite.url("crm-core") + f"/api/v1/clients/{found['contactId']}/changes", headers={"Authorization": f"Bearer {who}"}, timeout=20)
    assert (seen(mine).status_code, seen(other).status_code) == (200, 404)
    # Who keeps a copy of the list asks for what has changed.
    changed = lambda since: [c["id"] for c in suite.get("crm-core", "/api/v1/contacts", token, updatedSince=since, limit=200)["items"]]
    assert found["contactId"] in changed(began) and found["contactId"] not in changed("2199-01-01T00:00:00.000Z")
    firm = suite.post("crm-core", "/api/v1/companies", token, {"name": "ООО Давняя"}, status=201)["id"]
    suite.sql("crm_core", f"ALTER TABLE company DISABLE TRIGGER company_touched; UPDATE company SET updated_at = '2020-01-01' WHERE id = '{firm}'; "
                          "ALTER TABLE company ENABLE TRIGGER company_touched")
    companies = lambda: [c["id"] for c in suite.get("crm-core", "/api/v1/companies", token, updatedSince=began, limit=200)["items"]]
    assert firm not in companies()
    requests.patch(suite.url("crm-core") + f"/api/v1/companies/{firm}", json={"address": "Пермь"}, timeout=20,
                   headers={"Authorization": f"Bearer {token}", "If-Match": "1"}).raise_for_status()
    assert firm in companies()


def test_the_switch_heeds_a_version_that_is_given(suite):
    token = suite.token()
    oleg = next(u for u in suite.get("crm-core", "/api/v1/users", token)["items"] if u["login"] == "oleg")
    def turn(version):
        headers = {"Authorization": f"Bearer {token}", **({"If-Match": str(version)} if version else {})}
        return requests.patch(suite.url("crm-core") + f"/api/v1/users/{oleg['id']}", json={"atWork": True}, headers=headers, timeout=20)
    assert turn(oleg["version"]).status_code == 200 and turn(oleg["version"]).status_code == 412 and turn("no number").status_code == 412
    assert turn(None).json()["version"] == oleg["version"] + 2


def test_a_cookie_writes_through_no_spelling_of_the_api(suite):
    session = requests.Session()
    session.post(suite.url("crm-core") + "/api/v1/sessions", json={"login": "admin", "password": "admin-password"}, timeout=20)
    for path in ["/api/v1/companies", "//api/v1/companies", "///api//v1/companies", "/api//v1/companies"]:
        request = requests.Request("POST", suite.url("crm-core"), json={"name": "Чужая"}, cookies=session.cookies).prepare()
        request.url = suite.url("crm-core") + path
        assert session.send(request, timeout=20).status_code in (401, 404), path
    assert all(c["name"] != "Чужая" for c in suite.get("crm-core", "/api/v1/companies", suite.token())["items"])


def test_an_order_that_is_too_large_to_be_told_is_refused_in_words(suite):
    token = suite.token()
    found = suite.lead(token, "too large")
    deal = suite.post("crm-core", f"/api/v1/leads/{found['id']}/convert", token, {})
    ask = lambda lines: requests.post(suite.url("crm-core") + f"/api/v1/deals/{deal['id']}/orders", json={"currency": "RUB", "lines": lines}, timeout=30,
                                      headers={"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())})
    body = [{"sku": str(n), "name": "я" * 96, "quantity": "1", "price": "1.00"} for n in range(1000)]
    compact = json.dumps({"currency": "RUB", "lines": body}, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(compact) < 256 * 1024
    answer = requests.post(suite.url("crm-core") + f"/api/v1/deals/{deal['id']}/orders", data=compact, timeout=30,
                           headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "large", "Content-Type": "application/json"})
    assert answer.status_code == 422 and "262144" in answer.json()["detail"], answer.text
    answer = ask([{"sku": str(n), "name": "x", "quantity": "1", "price": "90000000000"} for n in range(200)])
    assert answer.status_code == 422 and "line 112" in answer.json()["detail"], answer.text
    assert suite.get("crm-core", f"/api/v1/deals/{deal['id']}", token)["orderIds"] == []


def test_pages_that_were_closed_keep_no_place(suite):
    """A page that is closed says nothing: only a sign of life that finds nobody tells."""
    token, port = suite.token(), suite.base + 3
    request = f"GET /dashboard/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    def open_page():
        page = socket.create_connection(("127.0.0.1", port), timeout=20)
        page.sendall(request)
        return page, page.recv(200).split()[1]

    pages = [open_page() for _ in range(300)]
    assert {status for _, status in pages} == {b"200"}
    assert open_page()[1] == b"503", "there is room for 300"
    for page, _ in pages:
        page.close()
    wait_for(lambda: open_page()[1] == b"200", 40, "a place")
