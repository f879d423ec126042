"""1C misbehaves in every way that its users know, while orders come: each becomes one document, to the kopeck, or is set aside by name."""
import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import requests
from suite import running, wait_for
from systems import OData, odata, ours

COUNT = int(os.environ.get("THROUGHLINE_ORDERS", "1000"))
FAULTS = ["down", "late", "half", "html", "busy", "licence", "gateway"]


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    folder.chmod(0o755)
    system = OData(folder, "ut11", odata.UT, 1, timeoutSeconds=2, settleSeconds=6)
    organizations = f'\n  - {{ code: {system.organization}, name: "ООО Станкоторг", inn: "7707083893", kpp: "770701001", base: {system.base} }}'
    with running(folder, books=(organizations, f"\nonec:\n  {system.settings}")) as suite:
        system.begin(suite)
        system.good("A-1", "Станок")
        system.token = suite.token()
        yield system


@pytest.fixture(autouse=True)
def sound(system):
    """Each test begins with a 1C that works, and leaves one."""
    yield
    system.server.fault, system.server.every, system.server.delay, system.server.meets = None, 1, 0.0, lambda method, name: True
    system.onec.forbidden = set()
    system.onec.schema = {name: list(fields) for name, fields in odata.UT["schema"].items()}
    system.onec.takes_keys, system.onec.closed_until = True, "0000-00-00"
    requests.post(system.suite.url("accounting-bridge") + f"/api/v1/bases/{system.base}/pause", headers=bearer(system), timeout=20)
    requests.post(system.suite.url("accounting-bridge") + f"/api/v1/bases/{system.base}/resume", headers=bearer(system), timeout=20)


def bearer(system):
    return {"Authorization": f"Bearer {system.token}"}


def base(system):
    return system.suite.get("accounting-bridge", "/api/v1/bases", system.token)["items"][0]


def alarms(system):
    """Those of the exchange itself; what other tests have left aside is not meant."""
    return [a for a in base(system)["alarms"] if a["kind"] not in ("refusals", "documents")]


def story(system, order):
    """What is told of an order; nothing before it has come to the bridge."""
    answer = requests.get(system.suite.url("accounting-bridge") + f"/api/v1/order-stories/{order['number']}", headers=bearer(system), timeout=20)
    return answer.json() if answer.ok else {"state": None, "verdict": ""}


def deal(system, name):
    lead = system.suite.lead(system.token, name)
    return system.suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", system.token, {})["id"]


def order(system, deal, key, price="10.00"):
    lines = [{"sku": "A-1", "name": "Станок", "quantity": "1", "price": price}]
    return system.suite.post("crm-core", f"/api/v1/deals/{deal}/orders", system.token, {"currency": "RUB", "lines": lines}, key=key, status=201)


def through(system, *orders, seconds=60):
    for order in orders:
        wait_for(lambda: system.suite.sql("accounting_bridge", f"SELECT state FROM order_out WHERE number = '{order['number']}'") == [["sent"]],
                 seconds, "the order to be through")


def stumbled(system, order):
    """Something that was asked for this order went wrong; the breaker may be closed again by the time one looks."""
    return system.suite.sql("accounting_bridge", f"SELECT 1 FROM exchange WHERE kind LIKE 'odata.%' AND result NOT IN ('ok', 'open') AND orders @> ARRAY['{order['number']}'] LIMIT 1")


def makes_a_document(system):
    return lambda method, name: method == "POST" and name == system.names["orders"]


def documents(system):
    with system.onec.lock:
        return [(ours(o), Decimal(str(o["СуммаДокумента"]))) for o in sorted(system.orders().values(), key=lambda o: o["Number"])]


@pytest.mark.parametrize("fault", FAULTS)
def test_one_answer_lost_makes_no_second_document(system, fault):
    """The very request that makes the document meets the fault."""
    own = deal(system, f"one-{fault}")
    through(system, order(system, own, f"warm-{fault}"))
    before = base(system)["duplicatesPrevented"]
    asked = []
    real = system.onec.create

    def create(entity, body):
        made = real(entity, body)
        asked.append(entity)
        return made
    system.onec.create = create
    system.server.meets = makes_a_document(system)
    system.server.fault = fault
    placed = order(system, own, f"second-{fault}")
    wait_for(lambda: stumbled(system, placed), what="the fault to be met")
    system.server.fault = None
    through(system, placed)
    system.onec.create = real
    assert [n for n, _ in documents(system)].count(placed["number"]) == 1
    done = fault in ("late", "half", "gateway")
    assert base(system)["duplicatesPrevented"] - before == (1 if done else 0), asked
    assert asked == [system.names["orders"]]
    told = story(system, placed)
    key = next(k for k, o in system.orders().items() if ours(o) == placed["number"])
    assert told["state"] == "sent" and told["onecLink"].startswith(f"{system.server.url}/#e1cib/data/") and told["onecLink"].endswith(key[:8])


def test_what_1c_does_after_we_gave_up_is_found_and_not_done_twice(system):
    """The nastiest: the answer does not come in time, the look finds nothing, and only then 1C makes the document."""
    own = deal(system, "later")
    through(system, order(system, own, "later-warm"))
    system.server.meets = makes_a_document(system)
    system.server.fault, system.server.delay = "later", 4.5
    placed = order(system, own, "later-1")
    wait_for(lambda: base(system)["doubtful"] == 1, what="the doubt")
    assert "вслепую второй раз не отправляем" in story(system, placed)["verdict"]
    system.server.fault, system.server.delay = None, 0.0
    other = order(system, deal(system, "not-later"), "not-later-1")
    wait_for(lambda: story(system, other)["state"] == "sent", what="another client's order to pass")
    through(system, placed)
    assert [n for n, _ in documents(system)].count(placed["number"]) == 1


def test_a_look_that_is_never_answered_holds_up_nobody_and_an_outage_refuses_nobody(system):
    """The question for one order is what 1C cannot answer, while all else works: it stands aside by name. When nothing works it just waits."""
    own = deal(system, "unanswered")
    through(system, order(system, own, "unanswered-warm"))
    system.server.meets = makes_a_document(system)
    system.server.fault = "down"
    placed = order(system, own, "unanswered-1")
    wait_for(lambda: story(system, placed)["state"] == "doubtful", what="the doubt")
    key = placed["orderId"]
    system.server.meets = lambda method, name: key in name
    other = order(system, deal(system, "answered"), "answered-1")
    through(system, other)
    wait_for(lambda: story(system, placed)["state"] == "refused", 120, "it to stand aside")
    assert "не отвечает, есть ли в ней этот заказ" in story(system, placed)["verdict"]
    # An outage of everything, longer than so many looks, with an order in doubt.
    system.server.meets = makes_a_document(system)
    second = order(system, own, "unanswered-2")
    wait_for(lambda: story(system, second)["state"] == "doubtful", what="the doubt")
    system.server.meets = lambda method, name: True
    looks = lambda: int(system.suite.sql("accounting_bridge", f"SELECT looks FROM order_out WHERE number = '{second['number']}'")[0][0])
    system.suite.sql("accounting_bridge", f"UPDATE order_out SET looks = 50, doubtful_since = now() - interval '1 hour' WHERE number = '{second['number']}'")
    wait_for(lambda: looks() < 50, 60, "the outage not to count against it")
    assert story(system, second)["state"] == "doubtful"
    system.server.fault = None
    through(system, second)
    # A person lets the one that stood aside go again, now that it can be answered.
    planned = system.suite.post("accounting-bridge", "/api/v1/replays", system.token, {"filter": {"base": system.base, "kind": "order"}, "dryRun": True}, status=201)
    assert planned["count"] == 1
    system.suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", system.token, {}, status=202)
    through(system, placed)
    assert [n for n, _ in documents(system)].count(placed["number"]) == 1


def test_a_base_that_gives_keys_of_its_own_is_looked_into_by_our_number(system):
    own = deal(system, "own-keys")
    through(system, order(system, own, "own-keys-warm"))
    before, system.onec.takes_keys = base(system)["duplicatesPrevented"], False
    system.server.meets = makes_a_document(system)
    system.server.fault = "late"
    placed = order(system, own, "own-keys-1")
    wait_for(lambda: stumbled(system, placed), what="the fault to be met")
    system.server.fault = None
    through(system, placed)
    assert [n for n, _ in documents(system)].count(placed["number"]) == 1
    assert base(system)["duplicatesPrevented"] == before + 1


def test_what_the_business_refuses_stands_aside_by_name_and_goes_when_it_is_mended(system):
    own, other = deal(system, "closed"), deal(system, "open")
    system.onec.closed_until = "2999-01-01"
    refused = order(system, own, "closed-1")
    wait_for(lambda: story(system, refused)["state"] == "refused", what="the refusal")
    assert "Дата документа меньше даты запрета" in story(system, refused)["verdict"]
    system.onec.closed_until = "0000-00-00"
    unknown = system.suite.post("crm-core", f"/api/v1/deals/{other}/orders", system.token, {
        "currency": "RUB", "lines": [{"sku": "НЕТ-1", "name": "Чего нет", "quantity": "1", "price": "1.00"}]}, key="unknown-1", status=201)
    good = order(system, own, "closed-2")
    wait_for(lambda: story(system, good)["state"] == "sent", what="the next order to pass")
    wait_for(lambda: story(system, unknown)["state"] == "refused", what="the unknown good")
    assert "в 1С нет товара с артикулом «НЕТ-1»" in story(system, unknown)["verdict"]
    system.good("НЕТ-1")
    planned = system.suite.post("accounting-bridge", "/api/v1/replays", system.token, {"filter": {"base": system.base, "kind": "order"}, "dryRun": True}, status=201)
    assert planned["count"] == 2
    system.suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", system.token, {}, status=202)
    through(system, refused, unknown)
    made = [n for n, _ in documents(system)]
    assert made.count(refused["number"]) == 1 and made.count(unknown["number"]) == 1


def test_a_hundred_refusals_of_one_cause_are_one_letter_and_another_cause_is_another(system):
    own = deal(system, "aside")
    letters = lambda: [str(m["Subject"]) for m in system.suite.mailbox.letters if "отложено" in str(m["Subject"])]
    standing = lambda: [a["cause"] for a in base(system)["alarms"] if a["kind"] == "refusals"]
    wait_for(lambda: not standing(), what="nothing to stand aside")
    before = len(letters())
    unknown = lambda name: system.suite.post("crm-core", f"/api/v1/deals/{own}/orders", system.token, {
        "currency": "RUB", "lines": [{"sku": f"НЕТ-{name}", "name": "Чего нет", "quantity": "1", "price": "1.00"}]}, key=f"aside-{name}", status=201)
    first = unknown(100)
    wait_for(lambda: len(letters()) > before, what="the letter")
    assert standing()[0] == f"заказ {first['number']} не принят: в 1С нет товара с артикулом «НЕТ-100»"
    many = [first] + [unknown(101 + i) for i in range(30)]
    wait_for(lambda: standing() and standing()[0].endswith("(всего 31)"), what="the count")
    # Another cause is told though the first one stands.
    system.onec.closed_until = "2999-01-01"
    system.good("НЕТ-200")
    closed = unknown(200)
    wait_for(lambda: any("Дата документа меньше даты запрета" in cause for cause in standing()), what="the other cause")
    wait_for(lambda: len(letters()) == before + 2, what="its letter")
    system.onec.closed_until = "0000-00-00"
    for i in range(31):
        system.good(f"НЕТ-{100 + i}")
    planned = system.suite.post("accounting-bridge", "/api/v1/replays", system.token, {"filter": {"base": system.base, "kind": "order"}, "dryRun": True}, status=201)
    system.suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", system.token, {}, status=202)
    through(system, closed, *many)
    wait_for(lambda: not standing(), what="the end of it")
    assert len(letters()) == before + 2, "once for each cause"
    told = system.suite.sql("accounting_bridge", "SELECT sum((type = 'onec.exchange.failing.v1')::int) - sum((type = 'onec.exchange.recovered.v1')::int) FROM event "
                            f"WHERE key = 'base:{system.base}' AND type LIKE 'onec.exchange.%'")
    assert int(told[0][0]) == len(base(system)["alarms"]), "what was told is ended"


def test_looking_for_an_order_leaves_it_as_people_have_left_it(system):
    """What 1C had taken is looked for on a person's word: an order whose posting was taken back stays so, and one that cannot be looked for is no refusal."""
    placed = order(system, deal(system, "left"), "left-1")
    through(system, placed)
    key = next(k for k, o in system.orders().items() if ours(o) == placed["number"])
    row = lambda: system.suite.sql("accounting_bridge", f"SELECT state, coalesce(reason, '') FROM order_out WHERE number = '{placed['number']}'")[0]

    def look():
        planned = system.suite.post("accounting-bridge", "/api/v1/replays", system.token, {"filter": {"kind": "sent", "order": placed["number"]}, "dryRun": True}, status=201)
        assert planned["count"] == 1
        system.suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", system.token, {}, status=202)
        wait_for(lambda: row()[0] == "sent", what="the look to be over")
    with system.onec.lock:
        system.orders()[key]["Posted"] = False
    look()
    assert system.orders()[key]["Posted"] is False
    real = system.onec.shown

    def shown(entity, row, query):
        if entity == system.names["orders"]:
            raise odata.Refused(401, "20", f"Недостаточно прав: {entity}")
        return real(entity, row, query)
    system.onec.shown = shown
    try:
        look()
    finally:
        system.onec.shown = real
    assert "не удалось проверить" in row()[1] and "Недостаточно прав" in row()[1]
    refused = system.suite.sql("accounting_bridge", f"SELECT count(*) FROM event WHERE type = 'onec.order.refused.v1' AND key = '{placed['orderId']}'")
    assert refused == [["0"]] and [n for n, _ in documents(system)].count(placed["number"]) == 1


def test_a_document_that_is_not_posted_says_why(system):
    own = deal(system, "unposted")
    real = system.onec.check
    system.onec.check = lambda fields: (real(fields), fields.update(НеПроводить="Не хватает остатка товара «Станок»"))
    placed = order(system, own, "unposted-1")
    through(system, placed)
    system.onec.check = real
    wait_for(lambda: "не проведён: Не хватает остатка" in story(system, placed)["verdict"], what="the reason")


def test_a_changed_format_is_named_and_parks_only_what_needs_it(system):
    """A field of payments is gone after an update of the configuration: orders go on, payments are known to be unknown."""
    table = f"{system.names['payments']}_РасшифровкаПлатежа"
    system.onec.schema[table].remove("Сумма")
    call = lambda verb: requests.post(system.suite.url("accounting-bridge") + f"/api/v1/bases/{system.base}/{verb}", headers=bearer(system), timeout=20)
    call("pause")
    os.kill(system.suite.pids()["accounting-bridge"], 9)
    wait_for(system.suite.ready, 60, "the bridge")
    call("resume")
    drift = wait_for(lambda: [a for a in base(system)["alarms"] if a["kind"] == "format"], what="the alarm")
    assert drift[0]["cause"] == f"у объекта {table} нет поля Сумма"
    through(system, order(system, deal(system, "drift"), "drift-1"))
    # Now what the order itself needs.
    system.onec.schema[system.names["orders"]].remove("Контрагент_Key")
    os.kill(system.suite.pids()["accounting-bridge"], 9)
    wait_for(system.suite.ready, 60, "the bridge")
    waits = order(system, deal(system, "drift-2"), "drift-2")
    wait_for(lambda: any("нет поля Контрагент_Key" in a["cause"] for a in base(system)["alarms"]) and base(system)["waiting"], what="the alarm")
    assert story(system, waits)["state"] == "ready" and "нет поля Контрагент_Key" in story(system, waits)["verdict"]
    # «Почему мне не выставили счёт?» The request came, the deal was made, giving it to 1C fails: why, and the button that repairs it.
    told = wait_for(lambda: (lambda s: s if [line["sign"] for line in s["lines"]] == ["ok", "ok", "ok", "wrong"] else None)(story(system, waits)), what="the line of it")
    words = [line["words"] for line in told["lines"]]
    assert "Заявка №" in words[0] and "Сделка №" in words[1] and "пришёл из CRM" in words[2] and "нет поля Контрагент_Key" in words[3], words
    assert [r["kind"] for r in told["repairs"]] == ["base"]
    system.onec.schema[system.names["orders"]].append("Контрагент_Key")
    system.onec.schema[table].append("Сумма")
    browser = requests.Session()
    browser.post(system.suite.url("crm-core") + "/login", data={"login": "olga", "password": "olga-password"}, timeout=20)
    page = browser.get(system.suite.url("crm-core") + f"/journal/order/{waits['number']}", timeout=20).text
    form = dict(re.findall(r'name="(csrf|kind|ref|number)" value="([^"]*)"', page[page.index('action="/journal/repair"'):]))
    assert "проверяется заново" in browser.post(system.suite.url("crm-core") + "/journal/repair", data=form, timeout=20).text
    through(system, waits)
    wait_for(lambda: not alarms(system), what="the end of the alarm")


def test_a_kind_that_cannot_be_read_takes_nothing_back_and_a_deletion_meanwhile_is_seen(system):
    """Rights to shipments are lost for a while. They stand as they were told; one that is deleted meanwhile is gone when they can be read again."""
    placed = order(system, deal(system, "rights"), "rights-1")
    through(system, placed)
    state = lambda: system.suite.get("crm-core", f"/api/v1/orders/{placed['orderId']}", system.token)
    system.tell(placed["number"], "10.00", payments=[("r1", "4.00")], shipments=[("r2", "10.00")])
    wait_for(lambda: state()["shipment"] == "full" and state()["payment"] == "partly", what="both documents")
    shipments = system.names["shipments"]
    system.onec.forbidden.add(shipments)
    wait_for(lambda: any("Недостаточно прав" in a["cause"] for a in base(system)["alarms"]), what="the alarm")
    system.tell(placed["number"], "10.00", payments=[("r1", "4.00"), ("r3", "6.00")], shipments=[("r2", "10.00")])
    wait_for(lambda: state()["payment"] == "full", what="the other kinds to be read")
    assert state()["shipment"] == "full", "what was told stands"
    with system.onec.lock:
        system.onec.sets[shipments].pop(system.documents[f"{placed['number']}-r2"])
    system.onec.forbidden.clear()
    os.kill(system.suite.pids()["accounting-bridge"], signal.SIGKILL)
    wait_for(lambda: state()["shipment"] == "none", 60, "the deletion to be seen")
    wait_for(lambda: not alarms(system), what="the end of the alarm")
    wait_for(system.suite.ready, 60, "the bridge")


def test_a_client_with_two_cards_waits_for_a_person_and_one_card_is_found(system):
    """By INN and KPP; what is ambiguous is never linked by itself."""
    token, suite = system.token, system.suite

    def firm(name, inn):
        lead = suite.lead(token, name)
        made = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {})
        company = suite.post("crm-core", "/api/v1/companies", token, {"name": name, "inn": inn, "kpp": "770701001"}, status=201)
        deal = suite.get("crm-core", f"/api/v1/deals/{made['id']}", token)
        answer = requests.patch(suite.url("crm-core") + f"/api/v1/deals/{made['id']}", json={"companyId": company["id"]},
                                headers={**bearer(system), "If-Match": str(deal["version"])}, timeout=20)
        assert answer.ok, answer.text
        return made["id"], company["id"]
    known = system.onec.add("Catalog_Контрагенты", Description="Ромашка (старое имя)", НаименованиеПолное="Ромашка", ИНН="7736050003", КПП="770701001")
    own, company = firm("ООО Ромашка", "7736050003")
    placed = order(system, own, "firm-1")
    wait_for(lambda: story(system, placed)["state"] == "sent", what="the order to be sent")
    made = next(o for o in system.orders().values() if ours(o) == placed["number"])
    assert made["Контрагент_Key"] == known
    assert suite.sql("accounting_bridge", f"SELECT onec_id, rule FROM counterparty_link WHERE client_id = '{company}'") == [[known, "inn+kpp"]]
    for number in range(2):
        system.onec.add("Catalog_Контрагенты", Description=f"Двойник {number}", ИНН="5024002119", КПП="770701001")
    own, _ = firm("ООО Двойник", "5024002119")
    placed = order(system, own, "firm-2")
    wait_for(lambda: story(system, placed)["state"] == "refused", what="the ambiguity")
    assert "несколько контрагентов с ИНН 5024002119" in story(system, placed)["verdict"]


def test_the_database_dies_while_orders_are_given(system):
    """In the middle of sending, of the look-up, of the COMMIT that says so: each order is one document all the same, and is told once."""
    own = [deal(system, f"database-{i}") for i in range(5)]
    call = lambda verb: requests.post(system.suite.url("accounting-bridge") + f"/api/v1/bases/{system.base}/{verb}", headers=bearer(system), timeout=20)
    call("pause")
    mine = [order(system, own[i % 5], f"database-{i}")["number"] for i in range(60)]
    wait_for(lambda: base(system)["waiting"] >= 60, what="the orders to come")
    system.server.delay = 0.03
    call("resume")
    made = lambda: sum(1 for n, _ in documents(system) if n in mine)
    for share in (5, 20, 35):
        wait_for(lambda: made() >= share, 60, "some documents")
        wait_for(lambda: system.suite.psql("crm_core", "SELECT 1").returncode == 0, 60, "the database")
        os.kill(system.suite.postgres_pid(), signal.SIGQUIT)
        wait_for(system.suite.ready, 60, "the suite")
    system.server.delay = 0.0
    numbers = ",".join(mine)
    # It may be starting still.
    left = lambda: system.suite.psql("accounting_bridge", f"SELECT count(*) FROM order_out WHERE state <> 'sent' AND number = ANY('{{{numbers}}}')")
    wait_for(lambda: left().stdout.strip() == "0", 120, "all to be through")
    assert sorted(n for n, _ in documents(system) if n in mine) == sorted(mine), "each once"
    told = system.suite.sql("accounting_bridge", f"SELECT count(*), count(DISTINCT key) FROM event WHERE type = 'onec.order.sent.v1' AND key = ANY(ARRAY(SELECT id::text FROM order_out WHERE number = ANY('{{{numbers}}}')))")
    assert told == [["60", "60"]], "each is told once"


def test_a_thousand_orders_through_every_fault_are_a_thousand_documents(system):
    """While faults come and go at random: documents exactly as many as orders, sums to the kopeck, each client's in their order, the journal whole."""
    before = {number for number, _ in documents(system)}
    deals = [deal(system, f"many-{i}") for i in range(20)]
    over = threading.Event()

    def trouble():
        turn = 0
        while not over.wait(0.4):
            system.server.fault, system.server.every = FAULTS[turn % len(FAULTS)], 25
            turn += 1
        system.server.fault = None
    thread = threading.Thread(target=trouble)
    thread.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            mine = list(pool.map(lambda part: [order(system, deals[i % 20], f"many-{i}", f"{i + 1}.{i % 100:02d}") for i in range(part, COUNT, 4)], range(4)))
        wait_for(lambda: system.suite.sql("accounting_bridge", "SELECT count(*) FROM order_out WHERE state = 'sent'")[0][0] == str(len(before) + COUNT), 1200, "all to be through")
    finally:
        over.set()
        thread.join()
    orders = {o["number"]: o for part in mine for o in part}
    made = [(number, total) for number, total in documents(system) if number not in before]
    assert len(made) == len(orders) == COUNT and {n for n, _ in made} == set(orders)
    assert sum(total for _, total in made) == sum(Decimal(f"{i + 1}.{i % 100:02d}") for i in range(COUNT))
    clients = {ours(o): o["Контрагент_Key"] for o in system.orders().values()}
    sequence = {}
    for number, _ in made:
        sequence.setdefault(clients[number], []).append(int(number))
    assert all(numbers == sorted(numbers) for numbers in sequence.values()) and len(sequence) == 20
    told = system.suite.sql("accounting_bridge", f"SELECT count(DISTINCT n) FROM exchange, unnest(orders) AS n WHERE kind = 'odata.order' AND n = ANY('{{{','.join(orders)}}}')")
    assert told == [[str(COUNT)]], "each order's sending stands in the journal"
    sent = system.suite.sql("accounting_bridge", f"SELECT count(*), count(DISTINCT key) FROM event WHERE type = 'onec.order.sent.v1' AND key = ANY(ARRAY(SELECT id::text FROM order_out WHERE number = ANY('{{{','.join(orders)}}}')))")
    assert sent == [[str(COUNT), str(COUNT)]], "each is told once"
    print(f"duplicates prevented: {base(system)['duplicatesPrevented']}")
