"""Files that a person carries between 1C and us: the same as in the exchange, and nothing twice."""
import io
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
import requests
from suite import OneC, running, wait_for
from systems import EnterpriseData, Folder

DATA = Path(__file__).parents[3] / "shared/data/commerceml"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hand")
    folder.chmod(0o755)
    systems = [Folder(folder), EnterpriseData(folder)]
    books = ('\n  - { code: ooo, name: "ООО Станкоторг", inn: "7707083893", kpp: "770701001", base: unf }'
             + "".join(f'\n  - {{ code: {s.organization}, name: "ООО {s.base}", inn: "7707083893", kpp: "770701001", base: {s.base} }}' for s in systems),
             '\nonec:\n  - { base: unf, driver: commerceml, login: exchange, password: "обмен", firstNumber: 500 }' + "".join(f"\n  {s.settings}" for s in systems))
    with running(folder, books=books) as suite:
        for system in systems:
            system.begin(suite)
        suite.folder_system, suite.enterprise = systems
        yield suite


def hand(suite, base, content, name="file.xml", status=201, login="olga"):
    answer = requests.post(suite.url("accounting-bridge") + f"/api/v1/bases/{base}/files", data=content, params={"filename": name},
                           headers={"Authorization": f"Bearer {suite.token(login)}", "Content-Type": "application/octet-stream"}, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.json()


def prepare(suite, base="unf", status=201):
    return suite.post("accounting-bridge", f"/api/v1/bases/{base}/orders-files", suite.token("olga"), {}, status=status)


def content(suite, file):
    answer = requests.get(suite.url("accounting-bridge") + f"/api/v1/orders-files/{file['id']}/content", headers={"Authorization": f"Bearer {suite.token('olga')}"}, timeout=20)
    assert answer.ok and answer.headers["content-type"].startswith("application/xml") and f"orders-{file['base']}" in answer.headers["content-disposition"]
    return answer.content


def numbers(xml):
    return [document.findtext("{*}Номер") for document in ElementTree.fromstring(xml).iterfind("{*}Документ")]


def answer(number, paid="4.00"):
    """What УНФ saves of an order, as a file."""
    return OneC.written(number, "10.00", payments=[(f"hand-{number}", paid, "true")])


def state(suite, order):
    return suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", suite.token())


def test_orders_go_by_file_and_the_exchange_gives_them_no_second_time(world):
    token = world.token()
    orders = [world.order(token, f"hand-{i}", organization="ooo") for i in range(3)]
    file = prepare(world)
    assert file["orders"] == [o["number"] for o in orders] == numbers(content(world, file)) and not file["isTaken"]
    # Prepared is not sent: they wait, and whoever prepares once more gets the same.
    assert state(world, orders[0])["status"] == "requested"
    assert prepare(world)["orders"] == file["orders"]
    # 1C comes by itself meanwhile for one of them: what was prepared does not make its batches smaller.
    onec = OneC(world)
    onec.open()
    assert len(onec.fetch()) == 3
    world.post("accounting-bridge", f"/api/v1/orders-files/{file['id']}/taken", world.token("olga"), {})
    for order in orders:
        wait_for(lambda: state(world, order)["status"] == "sent", what="the order to be sent")
    assert world.get("accounting-bridge", f"/api/v1/orders-files/{file['id']}", world.token("olga"))["isTaken"]
    assert prepare(world, status=409)["detail"].startswith("для базы unf нет заказов")
    onec.open()
    assert onec.fetch() == []
    said = world.sql("accounting_bridge", f"SELECT count(*) FROM event WHERE type = 'onec.order.sent.v1' AND key = '{orders[0]['orderId']}'")
    world.post("accounting-bridge", f"/api/v1/orders-files/{file['id']}/taken", world.token("olga"), {})
    assert said == world.sql("accounting_bridge", f"SELECT count(*) FROM event WHERE type = 'onec.order.sent.v1' AND key = '{orders[0]['orderId']}'") == [["1"]]
    story = world.get("accounting-bridge", f"/api/v1/order-stories/{orders[0]['number']}", token)
    assert {"Заказ выгружен в файл для 1С", "Файл с заказом загружен в 1С"} <= {line["words"] for line in story["lines"]}


def test_another_reader_reads_our_orders_as_they_were_asked_for(world, tmp_path):
    from django.conf import settings
    if not settings.configured:
        settings.configure(MEDIA_ROOT=str(tmp_path))
    from cml.utils import ImportManager
    orders = [world.order(world.token(), f"hand-read-{i}", organization="ooo", comment=f"№ {i} & <срочно>") for i in range(3)]
    # That reader knows no namespaces, by itself looks at one document only, and breaks at lines and attributes.
    text = re.sub(' xmlns="[^"]*"', "", content(world, prepare(world)).decode())
    path = tmp_path / "orders.xml"
    path.write_text(re.sub("<(Товары|ЗначенияРеквизитов)>.*?</\\1>", "", text, flags=re.DOTALL))
    found = {}

    class Collector:
        def process_item(self, item):
            found[item.number] = item

    theirs = ImportManager(str(path))
    theirs.item_processor = Collector()
    theirs._parse_orders(theirs._get_tree().findall("Документ"))
    for i, order in enumerate(orders):
        read = found[order["number"]]
        assert (read.id, str(read.sum), read.currency_name, read.operation, read.role) == (order["orderId"], "10.00", "RUB", "Заказ товара", "Продавец")
        assert (read.client.name, read.comment) == (f"hand-read-{i}", f"№ {i} & <срочно>")


def test_a_file_from_1c_is_read_as_if_it_had_come_itself(world):
    token = world.token()
    order, other = (world.order(token, f"hand-back-{i}", organization="ooo") for i in range(2))
    OneC(world).take_orders()
    told = hand(world, "unf", answer(order["number"]), "orders.xml")
    assert told["reason"] is None and any(order["number"] in words and "4,00" in words for words in told["understood"])
    wait_for(lambda: state(world, order)["paid"]["amount"] == "4.00", what="the payment")
    # The same once more changes nothing, zipped and in another encoding neither.
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("orders.xml", answer(order["number"]))
        archive.writestr("orders2.xml", answer(other["number"], "10.00"))
    assert any("без изменений" in words for words in hand(world, "unf", packed.getvalue(), "orders.zip")["understood"])
    wait_for(lambda: state(world, other)["payment"] == "full", what="the other")
    exchange = world.get("accounting-bridge", f"/api/v1/exchanges/{told['exchangeId']}", token)["exchange"]
    assert exchange["kind"] == "hand.file" and "Ольга Белова" in exchange["understood"][0]


def test_a_file_made_in_vain_is_discarded_and_its_orders_may_be_changed_again(world):
    token = world.token("olga")
    order = world.order(world.token(), "hand-vain", organization="ooo")
    file = prepare(world)
    cancel = lambda key: world.post("crm-core", f"/api/v1/orders/{order['orderId']}/cancel", world.token(), {}, key=f"vain-{key}", status=202)
    last = lambda: state(world, order)["changes"][-1]
    cancel(1)
    wait_for(lambda: last()["state"] == "refused", what="the refusal")
    assert "стоит в файле" in last()["reason"]
    url = world.url("accounting-bridge") + f"/api/v1/orders-files/{file['id']}"
    assert requests.delete(url, headers={"Authorization": f"Bearer {token}"}, timeout=20).status_code == 204
    assert numbers(content(world, file)) == []
    cancel(2)
    wait_for(lambda: last()["state"] == "taken", what="the cancellation")
    assert order["number"] not in OneC(world).take_orders()


def test_a_wrong_file_is_no_alarm_and_orders_and_goods_may_come_in_one_archive(world):
    token = world.token()
    alarms = lambda: [a["kind"] for b in world.get("accounting-bridge", "/api/v1/bases", token)["items"] if b["base"] == "unf" for a in b["alarms"]]
    before = alarms()
    assert hand(world, "unf", b"PK\x03\x04 a table", "prices.xlsx")["reason"]
    assert hand(world, "unf", '<КоммерческаяИнформация ВерсияСхемы="2.08"/>'.encode(), "empty.xml")["understood"] == ["документов в файле нет"]
    assert set(alarms()) - set(before) <= {"documents"}
    order = world.order(token, "hand-both", organization="ooo")
    OneC(world).take_orders()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("orders.xml", answer(order["number"], "10.00"))
        archive.writestr("import.xml", (DATA / "carono-yii2__import.xml").read_bytes())
    told = hand(world, "unf", packed.getvalue(), "all.zip")
    assert told["reason"] is None and any("import.xml" in words for words in told["understood"]), told
    wait_for(lambda: state(world, order)["payment"] == "full", what="the payment")


def test_goods_by_file(world):
    told = hand(world, "unf", (DATA / "carono-yii2__import.xml").read_bytes(), "import.xml")
    assert told["reason"] is None
    goods = wait_for(lambda: [g for g in world.get("accounting-bridge", "/api/v1/goods", world.token(), limit=50)["items"] if g["sku"]], what="the goods")
    # From now on orders name such a good by 1C's own id: by an article another might be found.
    good = next(g for g in goods if [other["sku"] for other in goods].count(g["sku"]) == 1)
    lines = [{"sku": good["sku"], "name": "как угодно", "quantity": "1", "price": "10.00"}, {"sku": "нет такого", "name": "Иное", "quantity": "1", "price": "1.00"}]
    order = world.order(world.token(), "hand-good", lines=lines, organization="ooo")
    xml = ElementTree.fromstring(content(world, prepare(world)))
    document = next(d for d in xml.iterfind("{*}Документ") if d.findtext("{*}Номер") == order["number"])
    assert [line.findtext("{*}Ид") for line in document.iterfind("{*}Товары/{*}Товар")] == [good["id"], "нет такого"]


def test_what_is_no_file_of_1c_is_kept_and_named(world):
    for content, reason in [(b"<a/>", "нет ни заказов, ни товаров"), (answer("77")[:-40], "обрывается"), (b"PK\x03\x04 no archive", "архив"), (b"hello", "нет ни заказов")]:
        told = hand(world, "unf", content)
        assert reason in told["reason"], told
        assert world.sql("accounting_bridge", f"SELECT result, encode(request, 'hex') FROM exchange WHERE id = '{told['exchangeId']}'") == [["parked", content.hex()]]
    assert hand(world, "unf", b"", status=422)["detail"] == "файл пуст"
    assert hand(world, "unf", b" " * (16 * 1024 * 1024 + 1), status=413)["status"] == 413
    assert hand(world, "nobody", b"<a/>", status=404)
    assert hand(world, "unf", b"<a/>", "../../etc/passwd", status=400)
    assert hand(world, "unf", b"<a/>", status=403, login="maria")
    # What it says of an order that we do not know waits for a person.
    hand(world, "unf", answer("9999999"))
    parked = world.get("accounting-bridge", "/api/v1/parked", world.token(), limit=200)["items"]
    assert any(p["number"] == "9999999" and "неизвестен" in p["reason"] for p in parked)


def test_systems_behind_a_folder_take_what_is_carried_to_them(world):
    token = world.token()
    order = world.order(token, "hand-folder", organization="folder-json")
    wait_for(lambda: (world.folder_system.works(), order["number"] in world.folder_system.taken)[1], what="the order to be taken")
    report = '{"orders": [{"number": "%s", "total": "10.00", "currency": "RUB", "documents": [{"kind": "payment", "id": "p", "amount": "10.00"}]}]}' % order["number"]
    assert "положен в папку" in hand(world, "folder-json", report.encode(), "report.json")["understood"][0]
    wait_for(lambda: state(world, order)["payment"] == "full", what="the payment")
    node = world.enterprise.node
    order = world.order(token, "hand-message", organization="enterprise")
    wait_for(lambda: (node.run(), order["number"] in world.enterprise.taken)[1], what="the order to be taken")
    with node.lock:
        world.enterprise.tell(order["number"], "10.00", payments=[("p", "10.00")])
        message = node.outgoing.read_bytes()
        node.outgoing.unlink()
    hand(world, "enterprise", message, "Message.xml")
    wait_for(lambda: state(world, order)["payment"] == "full", what="the payment")
    assert prepare(world, "enterprise", status=409)["detail"].endswith("enterprisedata")


def test_an_accountant_does_it_in_the_browser(world):
    order = world.order(world.token(), "hand-page", organization="ooo")
    browser = requests.Session()
    browser.post(world.url("crm-core") + "/login", data={"login": "olga", "password": "olga-password"}, timeout=20)
    url = world.url("crm-core") + "/journal/hand"
    assert "/journal/hand" in browser.get(world.url("crm-core") + "/journal", timeout=20).text
    csrf = re.search(r'name="csrf" value="([^"]+)"', browser.get(url, timeout=20).text)[1]
    page = browser.post(f"{url}-prepare", data={"csrf": csrf, "base": "unf"}, timeout=20)
    assert order["number"] in page.text
    file = browser.get(world.url("crm-core") + re.search(r'id="download" href="([^"]+)"', page.text)[1], timeout=20)
    assert order["number"] in numbers(file.content) and "attachment" in file.headers["content-disposition"]
    page = browser.post(f"{url}-taken", data={"csrf": csrf, "file": re.search(r'name="file" value="([^"]+)"', page.text)[1]}, timeout=20)
    assert "Файл загружен в 1С" in page.text
    page = browser.post(url, data={"csrf": csrf, "base": "unf"}, files={"file": ("ответ.xml", answer(order["number"]))}, timeout=60)
    assert 'id="said"' in page.text and order["number"] in page.text
    page = browser.post(url, data={"csrf": csrf, "base": "unf"}, files={"file": ("фото.jpg", b"\xff\xd8")}, timeout=60)
    assert 'id="error"' in page.text and "нет ни заказов" in page.text


def test_a_carried_file_whose_reading_a_death_cut_off_is_read_by_itself(world):
    """The bridge dies while it reads what a person has carried: a file of orders, and an archive of goods and orders."""
    import os
    import signal
    import threading

    from test_repair import held
    order, other = world.order(world.token(), "hand-dies", organization="ooo"), world.order(world.token(), "hand-dies-zip", organization="ooo")
    OneC(world).take_orders()
    packed = io.BytesIO()
    goods = ('<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_2" ВерсияСхемы="2.08"><Каталог СодержитТолькоИзменения="true"><Ид>k</Ид>'
             "<Товары><Товар><Ид>hand-dies-good</Ид><Артикул>HD-1</Артикул><Наименование>Из архива</Наименование></Товар></Товары></Каталог></КоммерческаяИнформация>")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("import0_1.xml", goods)
        archive.writestr("orders.xml", answer(other["number"], paid="10.00"))
    for number, file, name in [(order["number"], answer(order["number"], paid="10.00"), "dies.xml"), (other["number"], packed.getvalue(), "dies.zip")]:
        left = lambda: world.sql("accounting_bridge", f"SELECT state FROM onec_file WHERE filename = '{name}'")

        def carry():
            try:
                hand(world, "unf", file, name)
            except requests.RequestException:
                pass
        with held(world, f"SELECT 1 FROM order_out WHERE number = '{number}' FOR UPDATE"):
            carrier = threading.Thread(target=carry)
            carrier.start()
            wait_for(lambda: left() == [["unread"]], what="the file to be stored")
            os.kill(world.pids()["accounting-bridge"], signal.SIGKILL)
            carrier.join()
        wait_for(world.ready, 60, "the bridge")
        # A minute later.
        world.sql("accounting_bridge", f"UPDATE onec_file SET touched_at = now() - interval '1 hour' WHERE filename = '{name}'")
        wait_for(lambda: left() == [["done"]], 30, "it to be read")
    for one in (order, other):
        wait_for(lambda: state(world, one)["payment"] == "full", what="the payment")
    assert world.get("accounting-bridge", "/api/v1/goods", world.token(), q="HD-1")["items"]


def test_a_plain_file_of_goods_is_taken_at_once(world):
    goods = ('<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_2" ВерсияСхемы="2.08"><Каталог СодержитТолькоИзменения="true"><Ид>k</Ид>'
             "<Товары><Товар><Ид>hand-plain-good</Ид><Артикул>HP-1</Артикул><Наименование>Из файла</Наименование></Товар></Товары></Каталог></КоммерческаяИнформация>")
    told = hand(world, "unf", goods.encode(), "import0_1.xml")
    assert not any("ещё читается" in words for words in told["understood"]) and told["reason"] is None
    assert world.get("accounting-bridge", "/api/v1/goods", world.token(), q="HP-1")["items"]
