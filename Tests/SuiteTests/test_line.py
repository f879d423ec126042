"""One client's path from a Telegram message to the money in the report."""
import json
import os
from pathlib import Path

import pytest
import requests
import zmq
from cloudevents.http import from_json
from suite import SECRET, OneC, wait_for

DATA = Path(__file__).parents[3] / "shared/data/telegram"


def topics(suite):
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.RCVTIMEO, 20000)
    socket.setsockopt(zmq.LINGER, 0)
    socket.subscribe("metric/")
    socket.connect(f"tcp://127.0.0.1:{suite.base + 303}")
    return socket


def test_from_the_first_message_to_the_figure(suite):
    money = topics(suite)
    start = DATA / "made/start_with_payload.json"
    if not start.exists():
        pytest.skip(f"{start} is not there")
    update = json.loads(start.read_text())
    chat = update["message"]["chat"]["id"]
    answer = requests.post(suite.url("bot-gateway") + "/telegram/shop/webhook", data=start.read_bytes(),
                           headers={"X-Telegram-Bot-Api-Secret-Token": SECRET}, timeout=20)
    assert answer.status_code == 200

    greeting = suite.telegram.next()
    assert "Как к вам обращаться" in greeting["text"]
    press = greeting["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    number = update["update_id"]
    person = update["message"]["from"]
    suite.update(number + 1, callback_query={"id": "1", "from": person, "chat_instance": "x", "data": press,
                                             "message": {"message_id": 2, "chat": {"id": chat, "type": "private"}, "date": 0}})
    suite.say(number + 2, chat, "Иван Петров")
    assert suite.telegram.next()["reply_markup"]["keyboard"][0][0]["request_contact"] is True
    suite.say(number + 3, chat, "не номер")
    assert "Не похоже на номер" in suite.telegram.next()["text"]
    suite.update(number + 4, message={"message_id": number + 4, "from": person, "chat": {"id": chat, "type": "private"},
                                      "date": 1795300100, "contact": {"phone_number": "79161234567", "first_name": "Иван", "user_id": person["id"]}})
    assert "Что вам нужно" in suite.telegram.next()["text"]
    suite.say(number + 5, chat, "Токарный станок")
    assert "Спасибо" in suite.telegram.next()["text"]

    token = suite.token()
    lead = wait_for(lambda: next((x for x in suite.get("crm-core", "/api/v1/leads", token)["items"] if x["complete"]), None))
    assert lead["phone"] == "+79161234567" and lead["phoneConfirmed"] is True
    assert lead["answers"]["need"] == "Токарный станок"
    assert lead["attribution"]["first"]["ref"] == "yad_spring-sale"
    wait_for(lambda: any("Новая заявка" in str(m["Subject"]) for m in suite.mailbox.letters), what="the letter")

    who = next(u["login"] for u in suite.get("crm-core", "/api/v1/users", token)["items"] if u["id"] == lead["responsibleId"])
    manager = suite.token(who)
    suite.post("crm-core", f"/api/v1/leads/{lead['id']}/take", manager, {})
    deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", manager,
                      {"title": "Станок", "amount": {"amount": "100000.00", "currency": "RUB"}})
    assert deal["responsibleId"] == lead["responsibleId"]
    order = {"currency": "RUB", "lines": [{"sku": "T-1", "name": "Станок", "quantity": "2", "price": "50000.00"}]}
    suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", manager, order, status=400)
    asked = suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", manager, order, key="one")
    again = suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", manager, order, key="one")
    assert again == asked and asked["number"] == "500" and asked["status"] == "requested"
    suite.post("crm-core", f"/api/v1/deals/{deal['id']}/stage", manager, {"stage": "won"})

    onec = OneC(suite)

    def fetched():
        onec.open()
        return onec.fetch()
    orders = wait_for(fetched, what="the order in the exchange")
    assert [o["Номер"] for o in orders] == ["500"] and orders[0]["ХозОперация"] == "Заказ товара"
    assert onec.fetch() == orders, "a query repeated in one session gets the same orders"
    assert onec.call("success").text == "success"
    assert onec.call("success").text == "success"
    onec.open()
    assert onec.fetch() == []
    view = lambda: suite.get("crm-core", f"/api/v1/orders/{asked['orderId']}", token)
    wait_for(lambda: view()["status"] == "sent")

    onec.send(500, "100000,00", payments=[("p1", "30000.00", "true")], chunk=100)
    state = wait_for(lambda: view()["payment"] == "partly" and view(), what="the partial payment")
    assert state["owed"] == {"amount": "70000.00", "currency": "RUB"} and state["onecNumber"] == "НФ-500"
    onec.open()
    onec.send(500, "100000.00", payments=[("p1", "30000.00", "true"), ("p2", "70000.00", "true")],
              shipments=[("s1", "100000.00", "true")])
    wait_for(lambda: view()["payment"] == "full" and view()["shipment"] == "full")
    onec.open()
    onec.send(500, "100000.00", payments=[("p1", "30000.00", "true"), ("p2", "70000.00", "true")],
              shipments=[("s1", "100000.00", "true")])

    def total():
        while True:
            topic, body = money.recv_multipart()
            cell = json.loads(body)
            if topic == b"metric/money.received/total" and cell["by"] == [] and cell["value"] == "100000.00":
                return cell
    cell = total()
    assert cell["dimensions"] == {"currency": "RUB"} and cell["unit"] == "RUB"
    newcomer = topics(suite)
    first = json.loads(newcomer.recv_multipart()[1])
    assert first["revision"] >= 1
    origin = suite.get("bi-aggregator", "/api/v1/metrics/money.received/origin", "reader-key")
    assert origin["sum"] == "100000.00" and {i["journeyId"] for i in origin["items"]} == {lead["journeyId"]}
    wait_for(lambda: sum("Оплата" in str(m["Subject"]) for m in suite.mailbox.letters) == 2, what="two letters of payment")

    line = wait_for(lambda: (lambda l: l if any(s["kind"] == "notifier.notification.sent" for s in l["steps"]) else None)(
        suite.get("crm-core", f"/api/v1/journeys/{lead['journeyId']}", token)))
    steps = line["steps"]
    ids = [s["id"] for s in steps]
    assert [s["id"] for s in steps if s["causedBy"] is None] == ids[:1], "only the first step has no cause"
    for place, step in enumerate(steps):
        assert step["causedBy"] is None or step["causedBy"] in ids[:place], step
    kinds = [s["kind"] for s in steps]
    for kind in ["bot.journey.opened", "bot.message.received", "crm.lead.created", "bot.consent.given", "crm.lead.ready",
                 "crm.lead.taken", "crm.deal.created", "crm.order.requested", "onec.order.sent", "onec.order.reported",
                 "crm.payment.recorded", "bi.fact.counted", "notifier.notification.sent", "crm.journey.closed"]:
        assert kind in kinds, kind
    assert {s["service"] for s in steps} == {"bot-gateway", "crm-core", "accounting-bridge", "bi-aggregator", "notifier"}

    seen, after = [], ""
    while True:
        page = suite.get("crm-core", "/api/v1/events", "reader-key", after=after, limit=50)
        if not page["items"]:
            break
        seen += [from_json(json.dumps(item)) for item in page["items"]]
        after = page["next"]
    assert len({(e["source"], e["id"]) for e in seen}) == len(seen)
    assert {"crm.lead.created.v1", "onec.order.reported.v1"} <= {e["type"] for e in seen}


def test_a_manager_takes_the_talk_and_gives_it_back(suite):
    suite.say(9001, 4242, "/start", name="Пётр")
    suite.telegram.next()
    token = suite.token()
    talk = wait_for(lambda: next((c for c in suite.get("bot-gateway", "/api/v1/conversations", token)["items"]
                                  if c["externalId"] == "4242"), None))
    suite.post("bot-gateway", f"/api/v1/conversations/{talk['id']}/messages", token, {"text": "Добрый день, я Мария"})
    assert suite.telegram.next()["text"] == "Добрый день, я Мария"
    suite.say(9002, 4242, "Слушаю")
    suite.say(9003, 4243, "/start")
    assert suite.telegram.next()["chat_id"] == 4243, "the bot is silent while a person holds the talk"
    requests.post(suite.url("bot-gateway") + f"/api/v1/conversations/{talk['id']}/release",
                  headers={"Authorization": f"Bearer {token}"}, timeout=20).raise_for_status()
    suite.say(9004, 4242, "Пётр")
    assert suite.telegram.next()["chat_id"] == 4242


def test_a_site_form_is_a_lead_at_once(suite):
    body = {"channel": "site", "conversationId": "f-1", "messageId": "m-1", "text": "Нужна фреза",
            "sender": {"name": "Анна", "phone": "8 (916) 000-00-01"}, "externalOrderNumber": "A-77",
            "attribution": {"source": "yandex", "campaign": "осень"}}
    first = suite.post("bot-gateway", "/api/v1/messages", "form-key", body, status=202)
    again = suite.post("bot-gateway", "/api/v1/messages", "form-key", body, status=202)
    assert first["duplicate"] is False and again == {**first, "duplicate": True}
    token = suite.token()
    lead = wait_for(lambda: (suite.get("crm-core", "/api/v1/leads", token, journeyId=first["journeyId"])["items"] or [None])[0])
    lead = wait_for(lambda: (lambda l: l if l["phone"] else None)(suite.get("crm-core", f"/api/v1/leads/{lead['id']}", token)))
    assert (lead["name"], lead["phone"], lead["phoneConfirmed"]) == ("Анна", "+79160000001", False)
    assert lead["externalOrderNumber"] == "A-77" and lead["text"] == "Нужна фреза"


def test_each_role_sees_its_own(suite):
    maria = suite.token("maria")
    me = next(u for u in suite.get("crm-core", "/api/v1/users", maria)["items"] if u["login"] == "maria")
    assert all(x["responsibleId"] == me["id"] for x in suite.get("crm-core", "/api/v1/leads", maria)["items"])
    answer = requests.get(suite.url("crm-core") + "/api/v1/leads", timeout=20)
    assert answer.status_code == 401 and answer.headers["Content-Type"] == "application/problem+json"


def test_what_comes_while_nobody_is_at_work_waits_for_the_first_who_is(suite):
    token = suite.token()
    managers = [u for u in suite.get("crm-core", "/api/v1/users", token)["items"] if "manager" in u["roles"]]
    work = lambda user, on: requests.patch(suite.url("crm-core") + f"/api/v1/users/{user['id']}", json={"atWork": on},
                                           headers={"Authorization": f"Bearer {token}"}, timeout=20).raise_for_status()
    for user in managers:
        work(user, False)
    body = {"channel": "site", "conversationId": "night", "messageId": "1", "text": "Ночная заявка", "sender": {"name": "Ночной"}}
    journey = suite.post("bot-gateway", "/api/v1/messages", "form-key", body, status=202)["journeyId"]
    find = lambda: suite.get("crm-core", "/api/v1/leads", token, journeyId=journey)["items"]
    lead = wait_for(lambda: next((x for x in find() if x["complete"]), None))
    assert lead["responsibleId"] is None
    maria = suite.token("maria")
    assert any(x["id"] == lead["id"] for x in suite.get("crm-core", "/api/v1/leads", maria)["items"]), "everybody sees that it waits"
    for user in managers:
        work(user, True)
    lead = find()[0]
    assert lead["responsibleId"] == managers[0]["id"]
    wait_for(lambda: any("Ночной" in str(m.get_payload(decode=True), "utf-8") if not m.is_multipart() else
                         any("Ночной" in str(part.get_payload(decode=True) or b"", "utf-8") for part in m.walk())
                         for m in suite.mailbox.letters if m["To"] == managers[0]["email"]), what="the letter to its responsible")


def test_a_deal_that_is_won_last_closes_its_journey_too(suite):
    token, onec = suite.token(), OneC(suite)
    order = suite.order(token, "late-won")
    assert order["number"] in onec.take_orders()
    onec.open()
    onec.send(order["number"], "10.00", payments=[("late-p", "10.00", "true")], shipments=[("late-s", "10.00", "true")])
    see = lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)
    wait_for(lambda: (see()["payment"], see()["shipment"]) == ("full", "full"))
    kinds = lambda: [s["kind"] for s in suite.get("crm-core", f"/api/v1/journeys/{order['journeyId']}", token)["steps"]]
    assert "crm.journey.closed" not in kinds()
    suite.post("crm-core", f"/api/v1/deals/{order['dealId']}/stage", token, {"stage": "won"})
    wait_for(lambda: "crm.journey.closed" in kinds(), what="the journey's end")
    wait_for(lambda: suite.sql("bot_gateway", f"SELECT journey_open FROM conversation WHERE journey_id = '{order['journeyId']}'") == [["f"]])
    again = {"channel": "site", "conversationId": "late-won", "messageId": "2", "text": "Ещё одну"}
    assert suite.post("bot-gateway", "/api/v1/messages", "form-key", again, status=202)["journeyId"] != order["journeyId"], "the next word opens another"


def test_a_debt_is_overdue_once_its_day_has_passed(suite):
    token, onec = suite.token(), OneC(suite)
    overdue = lambda: sum(float(i["amount"]) for i in suite.get(
        "bi-aggregator", "/api/v1/metrics/receivables.overdue/origin", token, period="all")["items"] if i["number"] == order["number"])
    order = suite.order(token, "debt")
    assert order["number"] in onec.take_orders()
    see = lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)
    assert see()["dueDate"] is None and see()["dueDateUnknown"]
    onec.open()
    onec.send(order["number"], "10.00", payments=[("debt-1", "4.00", "true")], due="2999-01-31")
    wait_for(lambda: see()["dueDate"] == "2999-01-31")
    assert overdue() == 0
    assert not see()["overdue"]
    suite.sql("crm_core", f"UPDATE sales_order SET due_date = current_date - 2 WHERE id = '{order['orderId']}'")
    assert see()["overdue"]
    wait_for(lambda: overdue() == 6, what="time alone makes it overdue")
    onec.open()
    onec.send(order["number"], "10.00", payments=[("debt-1", "4.00", "true"), ("debt-2", "6.00", "true")])
    wait_for(lambda: overdue() == 0, what="paid, it is owed no more")


def test_a_polled_bot_answers_too(suite):
    suite.telegram.updates.put({"update_id": 1, "message": {
        "message_id": 1, "from": {"id": 31, "is_bot": False, "first_name": "Ира"}, "chat": {"id": 31, "type": "private"},
        "date": 1795300000, "text": "/start"}})
    assert suite.telegram.next()["chat_id"] == 31
