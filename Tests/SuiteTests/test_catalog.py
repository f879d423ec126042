"""Catalogs as 1C's configurations send them: in pieces, plain and zipped, asked for again and again, and read the same as another reader does."""
import io
import re
import threading
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from suite import OneC, wait_for

SAMPLES = Path(__file__).resolve().parents[3] / "shared/data/commerceml"
needs_samples = pytest.mark.skipif(not SAMPLES.exists(), reason="the sample files are not beside the repository")


class Catalog(OneC):
    """1C's side of `type=catalog`; as УТ it asks `import` again at once while the answer is `progress`."""

    def call(self, mode, body=None, type="catalog", **params):
        return super().call(mode, body, type=type, **params)

    def upload(self, name, data, piece=50_000):
        for start in range(0, len(data), piece):
            answer = self.call("file", data[start:start + piece], filename=name)
            assert answer.text == "success", answer.text

    def load(self, name):
        """The answers until the file is taken."""
        answers = []
        while True:
            answers.append(self.call("import", filename=name).text.split("\n")[0])
            if answers[-1] != "progress":
                return answers
            assert len(answers) < 100

    def session(self, **files):
        self.open()
        lines = self.call("init").text.split("\n")
        assert lines[0] == "zip=yes" and re.fullmatch(r"file_limit=\d+", lines[1]) and len(lines) == 2, "УТ wants exactly two lines"


def goods(suite, **params):
    items, after = [], None
    while True:
        page = suite.get("accounting-bridge", "/api/v1/goods", suite.token(), limit=200, **params, **({"after": after} if after else {}))
        items += page["items"]
        after = page["next"]
        if not after:
            return items


def catalog(*goods, changes="false", version="2.07"):
    body = "".join(f"<Товар><Ид>{i}</Ид><Артикул>{a}</Артикул><Наименование>{n}</Наименование>"
                   f'<БазоваяЕдиница Код="796 " НаименованиеПолное="Штука">шт</БазоваяЕдиница></Товар>' for i, a, n in goods)
    return (f'<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_2" ВерсияСхемы="{version}">'
            f'<Каталог СодержитТолькоИзменения="{changes}"><Ид>k</Ид><Товары>{body}</Товары></Каталог></КоммерческаяИнформация>').encode()


def offers(*offers, changes="false", root="ПакетПредложений"):
    body = "".join(
        f"<Предложение><Ид>{i}</Ид>" + (f"<Цены>{''.join(f'<Цена><ИдТипаЦены>{t}</ИдТипаЦены><ЦенаЗаЕдиницу>{p}</ЦенаЗаЕдиницу><Валюта>руб</Валюта></Цена>' for t, p in prices)}</Цены>" if prices else "")
        + (f"<Количество>{stock}</Количество>" if stock else "") + "</Предложение>" for i, prices, stock in offers)
    return (f'<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация ВерсияСхемы="2.08"><{root} СодержитТолькоИзменения="{changes}">'
            f"<Предложения>{body}</Предложения></{root}></КоммерческаяИнформация>").encode()


def sent(suite, *files, archive=None, **login):
    """A session with these files; every one is taken."""
    onec = Catalog(suite, **login)
    onec.session()
    if archive:
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as z:
            for name, data in files:
                z.writestr(name, data)
        onec.upload(archive, held.getvalue(), piece=400)
    else:
        for name, data in files:
            onec.upload(name, data)
    for name, _ in files:
        assert onec.load(name)[-1] == "success", name
    return onec


@needs_samples
def test_a_real_catalog_of_ut_is_read_whole(suite):
    files = [(f"{n}.xml", (SAMPLES / f"dobromyslov__{n}.xml").read_bytes()) for n in ("import0_1", "offers0_1")]
    sent(suite, *files)
    found = goods(suite, base="unf")
    text = [data.decode("utf-8-sig") for _, data in files]
    assert len([g for g in found if f"<Ид>{g['id']}</Ид>" in text[0]]) == len(re.findall("<Товар[ >]", text[0]))
    one = next(g for g in found if g["sku"] == "PM-421-WP")
    assert one["offers"][0]["prices"][0]["type"] == "BASE" and one["unit"] == "Штука"
    assert {"Владивосток", "Новосибирск", "Москва"} >= {s["warehouse"] for s in one["offers"][0]["stock"] if s["warehouse"]}
    assert [g["sku"] for g in goods(suite, q="pm-421-w")] == ["PM-421-WP"]


@needs_samples
@pytest.mark.parametrize("name", sorted(p.name for p in SAMPLES.glob("*.xml") if re.search("import|offers|classifier", p.name)) if SAMPLES.exists() else [])
def test_another_reader_reads_the_same(suite, name, tmp_path):
    from django.conf import settings
    if not settings.configured:
        settings.configure(MEDIA_ROOT=str(tmp_path))
    from cml.utils import ImportManager
    data = (SAMPLES / name).read_bytes()
    # That reader knows no namespaces.
    (tmp_path / name).write_text(re.sub(r' xmlns="[^"]*"', "", data.decode("utf-8-sig")), encoding="utf-8")
    seen = {}

    class Collector:
        def process_item(self, item):
            seen.setdefault(type(item).__name__, []).append(item)

    theirs = ImportManager(str(tmp_path / name))
    theirs.item_processor = Collector()
    theirs.import_all()
    sent(suite, (name, data), login="ut", password="ut")
    rows = lambda sql: {tuple(row) for row in suite.sql("accounting_bridge", sql)}
    ours = dict(rows("SELECT id, name FROM good WHERE base = 'ut'"))
    for product in seen.get("Product", []):
        assert ours[product.id] == product.name.strip()
    known = rows("SELECT offer_id, price_type, amount FROM offer_price WHERE base = 'ut'")
    known = {(o, t): Decimal(a) for o, t, a in known}
    for offer in seen.get("Offer", []):
        for price in offer.prices:
            assert known[offer.id, price.price_type_id] == price.price_for_sku
    names = dict(rows("SELECT id, name FROM catalog_group WHERE base = 'ut'"))
    parents = dict(rows("SELECT id, coalesce(parent, '') FROM catalog_group WHERE base = 'ut'"))

    def same(group, parent):
        assert (names[group.id], parents[group.id]) == (group.name, parent)
        for inner in group.groups:
            same(inner, group.id)

    for group in seen.get("Group", []):
        same(group, "")
    print(f"{name}: {len(seen.get('Product', []))} goods, {len(seen.get('Offer', []))} offers, {len(names)} groups, read the same")


def test_an_archive_in_pieces_and_offers_before_their_goods(suite):
    sent(suite, ("offers.xml", offers(("z1", [("retail", "1 200,50")], "7"))), ("import.xml", catalog(("z1", "Z-1", "Станок из архива"))),
         archive="v8_3E1A_1f.zip")
    [good] = goods(suite, q="Станок из архива")
    assert good["offers"][0]["prices"] == [{"type": "retail", "amount": "1200.5", "currency": "RUB", "unit": None}]
    assert good["offers"][0]["stock"] == [{"warehouse": None, "quantity": "7"}]


def test_the_same_again_changes_nothing_and_what_changed_is_new(suite):
    full = [("import.xml", catalog(("r1", "R-1", "Резец"))), ("offers.xml", offers(("r1", [("retail", "10"), ("bulk", "8")], "5")))]
    sent(suite, *full)
    first = goods(suite, q="R-1")
    sent(suite, *full)
    strip = lambda items: [{k: v for k, v in g.items() if k != "asOf"} for g in items]
    assert strip(goods(suite, q="R-1")) == strip(first)
    # A file of stock alone says nothing of prices; a package of changes takes none away; a whole one does.
    sent(suite, ("rests.xml", offers(("r1", [], "4"), changes="true")))
    sent(suite, ("prices.xml", offers(("r1", [("retail", "11")], ""), changes="true")))
    [good] = goods(suite, q="R-1")
    assert [(p["type"], p["amount"]) for p in good["offers"][0]["prices"]] == [("bulk", "8"), ("retail", "11")]
    assert good["offers"][0]["stock"][0]["quantity"] == "4"
    sent(suite, ("offers.xml", offers(("r1", [("retail", "12")], "3"))))
    [good] = goods(suite, q="R-1")
    assert [(p["type"], p["amount"]) for p in good["offers"][0]["prices"]] == [("retail", "12")]
    sent(suite, ("import.xml", catalog(("r1", "R-1", "Резец"), changes="true").replace(b"<\xd0\xa2\xd0\xbe\xd0\xb2\xd0\xb0\xd1\x80>", '<Товар Статус="Удален">'.encode())))
    assert goods(suite, q="R-1")[0]["deleted"]


def test_a_file_that_cannot_be_read_is_kept_and_named_and_1c_is_not_made_to_drop_it(suite):
    onec = Catalog(suite)
    onec.session()
    for name, data, words in [("cut.xml", catalog(("c", "C", "Обрыв"))[:-60], "обрывается"), ("bad.xml", b"<html>", "корень файла"),
                              ("other.xml", b"<a/>", "корень файла"), ("cut.zip", b"PK\x03\x04junk", "нет файла")]:
        onec.upload(name, data)
        inner = "inside.xml" if name.endswith("zip") else name
        if name.endswith("zip"):
            onec.call("file", b"x", filename="picture.jpg")
        assert onec.load(inner)[-1] == "success", "УНФ drops its changes after a failure"
        parked = suite.get("accounting-bridge", "/api/v1/parked", suite.token())["items"][0]
        assert parked["reason"].startswith(f"файл «{inner}»") and (words in parked["reason"] or "архив" in parked["reason"]), parked
    assert onec.call("file", b"x", filename="../../etc/passwd").text.startswith("failure")
    partly = catalog(("p1", "P-1", "Хороший")).replace(b"<\xd0\xa2\xd0\xbe\xd0\xb2\xd0\xb0\xd1\x80\xd1\x8b>", "<Товары><Товар><Наименование>Без Ид</Наименование></Товар>".encode())
    sent(suite, ("import.xml", partly))
    assert goods(suite, q="P-1")[0]["name"] == "Хороший"
    kept = suite.get("accounting-bridge", "/api/v1/exchanges", suite.token(), kind="catalog.import", limit=1)["items"][0]
    assert any("без Ид: Без Ид" in words for words in kept["understood"])


def test_sessions_without_a_file_are_said_once(suite):
    onec = Catalog(suite, login="ut", password="ut")
    for _ in range(5):
        onec.session()
    base = next(b for b in suite.get("accounting-bridge", "/api/v1/bases", suite.token())["items"] if b["base"] == "ut")
    assert "не передаёт ни одного файла" in base["failingCause"]
    said = suite.sql("accounting_bridge", "SELECT count(*) FROM event WHERE type = 'onec.exchange.failing.v1' AND convert_from(body, 'UTF8') LIKE '%ни одного файла%'")
    assert said == [["1"]], "once per cause"


def test_a_large_catalog_holds_up_no_orders_and_survives_a_death_in_the_middle(suite):
    token = suite.token()
    order = suite.order(token, "beside-a-catalog")
    big = catalog(*((f"big-{n}", f"BIG-{n}", f"Товар {n} " + "длинное описание " * 8) for n in range(6000)))
    onec = Catalog(suite)
    onec.session()
    onec.upload("import.xml", big, piece=1_000_000)
    answers = []
    worker = threading.Thread(target=lambda: answers.extend(onec.load("import.xml")))
    worker.start()
    other = OneC(suite)
    assert order["number"] in other.take_orders(), "orders go on beside it"
    worker.join()
    assert answers[-1] == "success" and set(answers[:-1]) <= {"progress"}
    count = lambda: int(suite.sql("accounting_bridge", "SELECT count(*) FROM good WHERE id LIKE 'big-%'")[0][0])
    assert count() == 6000
    # The same again; the process dies while it reads.
    suite.sql("accounting_bridge", "DELETE FROM offer_stock; DELETE FROM good WHERE id LIKE 'big-%'")
    onec.session()
    onec.upload("import.xml", big, piece=1_000_000)
    worker = threading.Thread(target=lambda: requests.get(onec.url, params={"type": "catalog", "mode": "import", "filename": "import.xml"},
                                                          auth=onec.http.auth, cookies=onec.http.cookies, timeout=30), daemon=True)
    threading.excepthook = lambda args: None
    worker.start()
    wait_for(lambda: count() > 0, what="reading to begin")
    import os, signal
    os.kill(suite.pids()["accounting-bridge"], signal.SIGKILL)
    wait_for(lambda: count() == 6000, 60, "the queued file to be read anew")
    wait_for(suite.ready, 60, "the suite")
    assert onec.load("import.xml") == ["success"], "1C asks again, and is told"


def test_orders_may_come_back_in_an_archive(suite):
    order = suite.order(suite.token(), "zipped-order")
    onec = OneC(suite)
    onec.take_orders()
    pieces = []
    onec.call = lambda mode, body=None, **params: pieces.append(body) or type("Answer", (), {"text": "success"})
    xml = onec.send(order["number"], "10.00", payments=[("zipped-1", "4.00", "true")])
    del onec.call
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(f"orders-{order['number']}.xml", xml)
    onec.open()
    data = held.getvalue()
    for start in range(0, len(data), 300):
        assert onec.call("file", data[start:start + 300], filename="v8_1.zip").text == "success"
    see = lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", suite.token())
    wait_for(lambda: see()["payment"] == "partly", what="the payment from the archive")
    assert onec.call("import", filename=f"orders-{order['number']}.xml").text == "success"


def test_what_a_good_was_called_before_is_kept(suite):
    def catalog(name, sku):
        return ('<?xml version="1.0" encoding="utf-8"?><КоммерческаяИнформация ВерсияСхемы="2.08"><Каталог СодержитТолькоИзменения="true"><Ид>k</Ид><Товары><Товар>'
                f"<Ид>renamed-1</Ид><Артикул>{sku}</Артикул><Наименование>{name}</Наименование></Товар></Товары></Каталог></КоммерческаяИнформация>").encode()
    found = lambda: next(iter(goods(suite, q="Переименован")), None)
    for name, sku in [("Переименованный до", "RN-1"), ("Переименованный до", "RN-1"), ("Переименованный после", "RN-2")]:
        sent(suite, ("import.xml", catalog(name, sku)))
        wait_for(lambda: found() and (found()["name"], found()["sku"]) == (name, sku), what="the good")
    assert {(c["field"], c["old"], c["new"]) for c in found()["changes"]} == {("name", "Переименованный до", "Переименованный после"), ("sku", "RN-1", "RN-2")}
