"""The exchange of states with a base by EnterpriseData: numbers that confirm each other, restores on either side, documents that change their orders."""
import os
import re
import signal
import uuid
import xml.etree.ElementTree as ET

import pytest
import requests
from suite import running, wait_for
from systems import EnterpriseData, enterprise_data

MSG = f"{{{enterprise_data.MSG}}}"


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    folder = tmp_path_factory.mktemp("enterprise")
    folder.chmod(0o755)
    system = EnterpriseData(folder)
    (folder / "silent").mkdir(mode=0o777)
    (folder / "silent").chmod(0o777)
    (folder / "narrow").mkdir(mode=0o777)
    (folder / "narrow").chmod(0o777)
    system.silent = folder / "silent"
    system.narrow = enterprise_data.Node(folder / "narrow", takes=["Справочник.Контрагенты"])
    system.narrow.run()
    books = "".join(f'\n  - {{ code: {name}, name: "ООО Станкоторг", inn: "7707083893", kpp: "770701001", base: {name} }}'
                    for name in ["enterprise", "silent", "narrow"])
    other = lambda name, first: (f'\n  - {{ base: {name}, driver: enterprisedata, folder: "{folder / name}", peer: УТ, firstNumber: {first}, '
                                 "readSeconds: 1, settleSeconds: 2 }")
    with running(folder, books=(books, f"\nonec:\n  {system.settings}" + other("silent", 70000) + other("narrow", 80000))) as suite:
        system.begin(suite)
        wait_for(lambda: system.works() or system.node.incoming.exists(), what="our first message")
        yield system


def ordered(system, name, organization="enterprise"):
    return system.suite.order(system.suite.token(), name, organization=organization)


def state(system, order):
    return system.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", system.suite.token())


def story(system, order):
    return system.suite.get("accounting-bridge", f"/api/v1/order-stories/{order['number']}", system.suite.token())


def base(system, name="enterprise"):
    return next(b for b in system.suite.get("accounting-bridge", "/api/v1/bases", system.suite.token())["items"] if b["base"] == name)


def becomes(system, order, **wanted):
    wait_for(lambda: all(state(system, order)[key] == value for key, value in wanted.items()), what=f"{wanted}")


def rub(amount):
    return {"amount": amount, "currency": "RUB"}


def ours(system):
    """Our message as it lies in the folder: its head's numbers and the orders in it."""
    root = ET.fromstring(system.node.incoming.read_bytes())
    confirmation = root.find(f"{MSG}Header/{MSG}Confirmation")
    body = root.find("{*}Body")
    orders = [o.findtext("{*}КлючевыеСвойства/{*}Номер") for o in body.iterfind("{*}Документ.ЗаказКлиента")] if body is not None else []
    return int(confirmation.findtext(f"{MSG}MessageNo")), int(confirmation.findtext(f"{MSG}ReceivedNo")), orders


def taken(system, order):
    def works():
        system.works()
        return order["number"] in system.taken
    wait_for(works, what="the order to be taken")


def parked(system, words):
    return [p for p in system.suite.get("accounting-bridge", "/api/v1/parked", system.suite.token(), limit=200)["items"] if words in p["reason"]]


def confirmed(system):
    """Everything that we have told is confirmed by the base, and we know it."""
    def quiet():
        system.works()
        return ours(system)[2] == [] or not system.suite.sql(
            "accounting_bridge", "SELECT 1 FROM registered_order r JOIN exchange_node n USING (base) WHERE base = 'enterprise' AND r.sent_no > n.confirmed_no")
    wait_for(quiet, what="the confirmation")


def test_an_order_lies_in_every_message_until_it_is_confirmed(system):
    confirmed(system)
    first, second = ordered(system, "repeated-1"), ordered(system, "repeated-2")
    wait_for(lambda: {first["number"], second["number"]} <= set(ours(system)[2]), what="both orders in one message")
    assert re.search(r"лежит в сообщении № \d+ для 1С enterprise, она его ещё не приняла", story(system, first)["verdict"])
    number, _, _ = ours(system)
    taken(system, second)
    confirmed(system)
    third = ordered(system, "repeated-3")
    wait_for(lambda: ours(system)[2] == [third["number"]], what="only the new order")
    assert ours(system)[0] > number
    wait_for(lambda: any("1С приняла наши сообщения" in line["words"] for line in story(system, first)["lines"]), what="the confirmation to be told")
    words = [line["words"] for line in story(system, first)["lines"]]
    assert "Заказ записан в сообщение для 1С" in words and not any(second["number"] in w for w in words), words
    taken(system, third)
    assert system.node.base.orders[system.key(third["number"])]["comment"].startswith(f"Throughline № {third['number']}.")


def test_a_base_that_was_restored_gets_again_what_it_has_lost(system):
    before = ordered(system, "before-backup")
    taken(system, before)
    confirmed(system)
    backup = system.node.snapshot()
    lost = ordered(system, "after-backup")
    taken(system, lost)
    becomes(system, lost, status="accepted")
    confirmed(system)
    # It writes before it reads: its number is one that we know.
    with system.node.lock:
        system.node.restore(backup)
        system.node.taken.remove(lost["number"])
        system.node.write()
    assert lost["number"] not in system.taken
    assert wait_for(lambda: lost["number"] in ours(system)[2], what="the lost order to go again")
    taken(system, lost)
    assert wait_for(lambda: parked(system, "база 1С восстановлена из копии"), what="the restore to be told")
    becomes(system, lost, onecNumber=system.onec_number(lost["number"]))
    # Its numbers are ahead of ours again, and news goes on.
    after = ordered(system, "after-restore")
    taken(system, after)
    system.tell(after["number"], "10.00", payments=[("ar", "10.00")])
    becomes(system, after, payment="full")


def test_what_a_restored_base_has_lost_unseen_goes_again_at_a_persons_word(system):
    """It reads our last message first, raises its number by it, and nothing tells of the restore."""
    backup = system.node.snapshot()
    # Registered before the backup, taken after it.
    early = ordered(system, "lost-early")
    wait_for(lambda: early["number"] in ours(system)[2], what="the early order in our message")
    since = system.suite.sql("accounting_bridge", "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")[0][0]
    lost = ordered(system, "lost-unseen")
    for order in (early, lost):
        taken(system, order)
    confirmed(system)
    with system.node.lock:
        system.node.restore(backup)
        for order in (early, lost):
            system.node.taken.remove(order["number"])
        system.node.run()
    call = lambda body, base="enterprise": requests.post(system.suite.url("accounting-bridge") + f"/api/v1/bases/{base}/send-again", json=body,
                                                         headers={"Authorization": f"Bearer {system.suite.token()}"}, timeout=20)
    answer = call({"since": since})
    assert sorted(answer.json()["orders"]) == [early["number"], lost["number"]], answer.text
    for order in (early, lost):
        taken(system, order)
    assert (call({"since": "gestern"}).status_code, call({"since": since}, "nobody").status_code) == (422, 404)


def test_a_restored_base_that_goes_on_from_what_we_confirmed_is_not_said_to_be_mended(system):
    """Messages that hold nothing are not answered: the number that the base finds confirmed lies behind the number that it had."""
    confirmed(system)
    wait_for(lambda: system.works() or not system.node.base.queue, what="all that the base has to say to be confirmed")
    for _ in range(4):
        with system.node.lock:
            system.node.write()
            sent = system.node.base.sent
        wait_for(lambda: system.suite.sql("accounting_bridge", f"SELECT 1 FROM exchange_node WHERE base = 'enterprise' AND received_no = {sent}"), what="it to be read")
    assert ours(system)[1] + 1 < sent
    before = int(system.suite.sql("accounting_bridge", "SELECT count(*) FROM exchange WHERE result = 'parked' AND reason LIKE '%по номерам не видно%'")[0][0])
    with system.node.lock:
        # As БСП does when it finds more confirmed than it has sent: here it has sent less, and goes on from there.
        system.node.base.sent = ours(system)[1]
        system.node.write()
    told = lambda: int(system.suite.sql("accounting_bridge", "SELECT count(*) FROM exchange WHERE result = 'parked' AND reason LIKE '%по номерам не видно%'")[0][0])
    wait_for(lambda: told() == before + 1, what="the doubt to be told")
    # Nor does its next message say otherwise.
    with system.node.lock:
        system.node.write()
    wait_for(lambda: told() == before + 2, what="the doubt to be told again")
    assert len(parked(system, "по номерам не видно")) == 1


def test_our_own_message_that_we_do_not_remember_tells_of_our_restore(system):
    confirmed(system)
    number = ours(system)[0]
    system.suite.sql("accounting_bridge", f"UPDATE exchange_node SET sent_no = {number - 1}, confirmed_no = {number - 1}, written_no = {number - 1} WHERE base = 'enterprise'")
    os.kill(system.suite.pids()["accounting-bridge"], signal.SIGKILL)
    wait_for(system.suite.ready, 60, "the bridge")
    order = ordered(system, "own-number")
    taken(system, order)
    assert wait_for(lambda: parked(system, "лежит наше сообщение"), what="the restore to be told")
    assert ours(system)[0] > number


def test_we_go_on_after_a_restore_of_ours(system):
    confirmed(system)
    system.suite.sql("accounting_bridge", "UPDATE exchange_node SET sent_no = 1, confirmed_no = 1, written_no = 1 WHERE base = 'enterprise'")
    order = ordered(system, "restored-here")
    taken(system, order)
    becomes(system, order, status="accepted")
    assert wait_for(lambda: parked(system, "наши данные восстановлены из копии"), what="the restore to be told")


def test_a_synchronization_that_is_set_up_anew_gets_nothing_twice(system):
    before = ordered(system, "before-anew")
    taken(system, before)
    confirmed(system)
    node, backup = system.node, system.node.snapshot()
    with node.lock:
        node.base, node.version = enterprise_data.Base(), None
        # Its documents, and so their numbers, are where they were.
        node.base.next_number = backup.next_number
        node.write()
    assert wait_for(lambda: parked(system, "1С настроила обмен заново"), what="it to be told")
    order = ordered(system, "after-anew")
    taken(system, order)
    confirmed(system)
    assert before["number"] not in system.taken and order["number"] in system.taken
    # The orders of before are still there, of course.
    with node.lock:
        for name in ("orders", "clients", "goods", "documents"):
            getattr(node.base, name).update({k: v for k, v in getattr(backup, name).items() if k not in getattr(node.base, name)})


def test_a_payment_that_is_given_to_another_order_leaves_the_first(system):
    one, other = ordered(system, "split-1"), ordered(system, "split-2")
    for order in (one, other):
        taken(system, order)
    node = system.node
    keys = [system.key(order["number"]) for order in (one, other)]
    payment = "0c1f1c5e-0000-4000-8000-000000000001"
    node.document(payment, "ПБДСРасчетыСКонтрагентами", "П-1", "14.00", {keys[0]: "10.00", keys[1]: "4.00"})
    node.run()
    becomes(system, one, payment="full", paid=rub("10.00"))
    becomes(system, other, payment="partly", paid=rub("4.00"))
    node.document(payment, "ПБДСРасчетыСКонтрагентами", "П-1", "14.00", {keys[1]: "10.00"})
    node.run()
    becomes(system, other, payment="full", paid=rub("10.00"))
    becomes(system, one, payment="none", paid=rub("0.00"))
    node.document(payment, "ПБДСРасчетыСКонтрагентами", "П-1", "14.00", {keys[1]: "10.00"}, deleted=True)
    node.run()
    becomes(system, other, payment="none", paid=rub("0.00"))


def test_one_shipment_of_two_orders_is_split_by_its_lines(system):
    one, other = ordered(system, "ship-1"), ordered(system, "ship-2")
    for order in (one, other):
        taken(system, order)
    keys = [system.key(order["number"]) for order in (one, other)]
    system.node.document("0c1f1c5e-0000-4000-8000-000000000002", "РеализацияТоваровУслуг", "Р-1", "16.00", {keys[0]: "10.00", keys[1]: "6.00"})
    system.node.run()
    becomes(system, one, shipment="full")
    becomes(system, other, shipment="partly")


def test_a_rename_in_1c_is_told_with_its_card(system):
    card = system.node.client("ООО Прежнее", inn="7736050003", kpp="773601001")
    system.node.run()
    told = lambda: next((c for c in system.suite.get("crm-core", "/api/v1/onec-cards", system.suite.token(), limit=200)["items"] if c["onecId"] == card), None)
    wait_for(lambda: told() and told()["name"] == "ООО Прежнее", what="the card")
    system.node.rename(card, "ООО Новое")
    system.node.run()
    wait_for(lambda: told()["name"] == "ООО Новое", what="its new name")


def test_what_a_card_was_before_finds_its_client_and_is_his_history(system):
    """A firm that we know by the КПП that it had: the card is his all the same, and the new one is taken."""
    suite, token = system.suite, system.suite.token()
    firm = suite.post("crm-core", "/api/v1/companies", token, {"name": "ООО Было", "inn": "7704217370", "kpp": "770401001"}, status=201)
    card = system.node.client("Стало", inn="7704217370", kpp="771501001")
    with system.node.lock:
        system.node.base.clients[card].update(
            kpps=[("2019-03-01", "770401001"), ("2024-02-01", "771501001")], names=[("2019-03-01", "ООО Было"), ("2024-02-01", "Стало")])
        system.node.register(card)
        system.node.run()
    client = lambda: suite.get("crm-core", f"/api/v1/companies/{firm['id']}", token)
    wait_for(lambda: client()["kpp"] == "771501001" and client()["name"] == "Стало", what="what it is now")
    told = next(c for c in suite.get("crm-core", "/api/v1/onec-cards", token, limit=200)["items"] if c["onecId"] == card)
    assert (told["state"], told["clientId"]) == ("linked", firm["id"])
    assert [c for c in suite.get("crm-core", "/api/v1/client-conflicts", token)["items"] if c["clientId"] == firm["id"]] == []
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = browser.get(suite.url("crm-core") + f"/companies/{firm['id']}", timeout=20).text
    assert "КПП 770401001, с 01.03.2019" in page and "КПП 771501001, с 01.02.2024" in page


def test_half_a_message_is_taken_for_one_that_is_being_written(system):
    order = ordered(system, "half")
    taken(system, order)
    becomes(system, order, status="accepted")
    confirmed(system)
    node = system.node
    key = system.key(order["number"])
    node.document("0c1f1c5e-0000-4000-8000-000000000003", "ПБДСРасчетыСКонтрагентами", "П-3", "10.00", {key: "10.00"})
    with node.lock:
        node.write()
        whole = node.outgoing.read_bytes()
        node.outgoing.write_bytes(whole[: len(whole) // 2])
        wait_for(lambda: parked(system, "XML не читается"), what="the half to be believed at last")
        assert state(system, order)["payment"] == "none"
        node.outgoing.write_bytes(whole)
    becomes(system, order, payment="full")


def test_a_message_of_another_node_is_not_taken(system):
    node = system.node
    with node.lock:
        before = node.outgoing.read_bytes()
        node.outgoing.write_bytes(before.replace("<msg:From>УТ<".encode(), "<msg:From>БП<".encode()))
        assert wait_for(lambda: parked(system, "сообщение из узла «БП» для узла «TL», а настроен обмен «УТ» → «TL»"), what="it to be named")
        node.outgoing.write_bytes(before.replace("<msg:MessageNo>".encode(), "<msg:MessageNo>много".encode()))
        assert wait_for(lambda: parked(system, "MessageNo «много"), what="the number to be named")
        node.outgoing.write_bytes(before)
    order = ordered(system, "after-noise")
    taken(system, order)


def test_a_base_that_says_nothing_or_takes_no_orders_is_named_and_orders_wait(system):
    waiting = [ordered(system, f"waits-{name}", organization=name) for name in ("silent", "narrow")]
    wait_for(lambda: any("ещё не прислала первого сообщения" in a["cause"] for a in base(system, "silent")["alarms"]), what="the silence to be named")
    wait_for(lambda: any("не принимает объекты Документ.ЗаказКлиента" in a["cause"] for a in base(system, "narrow")["alarms"]), what="the lack to be named")
    assert base(system, "silent")["waiting"] == base(system, "narrow")["waiting"] == 1
    # We have introduced ourselves: a head and nothing else.
    first = ET.fromstring((system.silent / "Message_TL_УТ.xml").read_bytes())
    assert first.find("{*}Body") is None and first.findtext(f"{MSG}Header/{MSG}Format") == enterprise_data.FORMAT
    # Nobody waits for the breakers, which have long been open.
    resume = lambda name: requests.post(system.suite.url("accounting-bridge") + f"/api/v1/bases/{name}/resume",
                                        headers={"Authorization": f"Bearer {system.suite.token()}"}, timeout=20)
    late = enterprise_data.Node(system.silent)
    late.run()
    resume("silent")

    def works():
        late.run()
        return waiting[0]["number"] in late.taken
    wait_for(works, 60, "the order to go when the base has come")
    # It takes orders from now on.
    system.narrow.takes.extend(["Справочник.Номенклатура", "Документ.ЗаказКлиента"])
    with system.narrow.lock:
        system.narrow.write()
    resume("narrow")

    def narrow():
        system.narrow.run()
        return waiting[1]["number"] in system.narrow.taken
    wait_for(narrow, 90, "the order to go when it is taken")


def test_a_message_holds_a_thousand_orders_and_the_rest_wait_for_its_confirmation(system):
    confirmed(system)
    system.suite.sql("accounting_bridge", """
        INSERT INTO registered_order (base, order_id, number, currency, objects)
        SELECT 'enterprise', gen_random_uuid(), (900000 + i)::text, 'RUB',
            '<Справочник.Номенклатура><КлючевыеСвойства><Ссылка>' || gen_random_uuid() || '</Ссылка><Наименование>Г</Наименование></КлючевыеСвойства></Справочник.Номенклатура>'
        FROM generate_series(1, 1005) AS i""")
    goods = lambda: len(ET.fromstring(system.node.incoming.read_bytes()).findall("{*}Body/{*}Справочник.Номенклатура"))
    wait_for(lambda: goods() == 1000, what="a full message")
    order = ordered(system, "behind-a-thousand")
    system.works()
    system.works()
    wait_for(lambda: system.works() or goods() == 6 or order["number"] in system.taken, what="the rest")
    taken(system, order)


def test_a_copy_of_an_old_message_undoes_nothing(system):
    order = ordered(system, "old-copy")
    taken(system, order)
    becomes(system, order, status="accepted")
    confirmed(system)
    node = system.node
    with node.lock:
        old = node.outgoing.read_bytes()
    wait_for(lambda: system.tell(order["number"], "10.00", payments=[("oc", "10.00")]) or state(system, order)["payment"] == "full", what="the payment")
    # Its clock goes on by a minute: the copy is older.
    node.ahead = 60
    system.tell(order["number"], "11.00", payments=[("oc", "10.00")])
    becomes(system, order, payment="partly")
    with node.lock:
        now = node.outgoing.read_bytes()
        node.outgoing.write_bytes(old)
        wait_for(lambda: system.suite.sql("accounting_bridge", "SELECT 1 FROM exchange WHERE understood::text LIKE '%старая копия сообщения%'"), what="it to be passed over")
        node.outgoing.write_bytes(now)
    assert state(system, order)["total"] == rub("11.00")


def test_a_restore_that_the_numbers_of_messages_do_not_tell_is_told_by_those_of_documents(system):
    """Restored, the base has read our last message and gone on beyond what we knew before we read anything of it. A person's own order has taken the first number."""
    node = system.node
    kept = ordered(system, "numbers-kept")
    taken(system, kept)
    confirmed(system)
    backup, known = node.snapshot(), list(node.taken)
    lost = []
    for i in range(2):
        lost.append(ordered(system, f"numbers-lost-{i}"))
        taken(system, lost[-1])
        becomes(system, lost[-1], status="accepted")
    confirmed(system)
    with node.lock:
        node.restore(backup)
        node.taken[:] = known
        # What nobody of ours has asked for: somebody has entered it there.
        own, node.base.next_number = f"УТ-{node.base.next_number:06}", node.base.next_number + 1
        stranger = str(uuid.uuid4())
        client = next(iter(node.base.clients))
        node.base.orders[stranger] = {"onec": own, "deleted": False, "posted": True, "number": "", "client": client, "lines": [], "total": 1}
        node.register(stranger)
        # Its number goes on from what we have confirmed, and further, before we read a word: beyond any that we have read of it before, or our next
        # message would confirm what we have never seen.
        node.read() if node.incoming.exists() else None
        node.base.sent += 5
        for _ in range(4):
            node.write()
    order = ordered(system, "numbers-after")
    assert wait_for(lambda: parked(system, "база 1С восстановлена из копии"), what="the restore to be told")
    for one in [*lost, order]:
        taken(system, one)
    assert [n for n in node.taken].count(kept["number"]) == 1
