"""Which good of 1C's an order means: by article, else by barcode; what is ambiguous is asked of a person, remembered, and the orders go again."""
import re

import pytest
import requests
from suite import OneC, running, wait_for
from systems import OData, odata

EAN = "4601234567893"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("goods")
    folder.chmod(0o755)
    system = OData(folder, "ut11", odata.UT, 4000)
    organizations = "".join(f'\n  - {{ code: {c}, name: "ООО {c}", inn: "7707083893", kpp: "770701001", base: {b} }}' for c, b in [("ut", system.base), ("site", "site")])
    bases = f'\nonec:\n  {system.settings}\n  - {{ base: site, driver: commerceml, login: exchange, password: "обмен", firstNumber: 100 }}'
    with running(folder, books=(organizations, bases)) as suite:
        system.begin(suite)
        yield system


def ordered(world, name, sku, organization="ut", title="Станок"):
    return world.suite.order(world.suite.token(), name, organization=organization, lines=[{"sku": sku, "name": title, "quantity": "1", "price": "10.00"}])


def card(world, name, **fields):
    with world.onec.lock:
        return world.onec.add("Catalog_Номенклатура", Description=name, **fields)


def good_of(world, order):
    def found():
        with world.onec.lock:
            key = world.key(order["number"])
            return key and world.orders()[key]["Товары"][0]["Номенклатура_Key"]
    try:
        return wait_for(found, what="the order to be taken")
    except AssertionError:
        raise AssertionError(world.suite.get("accounting-bridge", f"/api/v1/order-stories/{order['number']}", world.suite.token())["verdict"]) from None


def questions(world):
    return {q["sku"] or q["name"]: q for q in world.suite.get("accounting-bridge", "/api/v1/good-questions", world.suite.token())["items"]}


def choose(world, status=201, login="admin", **choice):
    return world.suite.post("accounting-bridge", "/api/v1/good-links", world.suite.token(login), {"base": world.base, **choice}, status=status)


def test_a_barcode_finds_the_good_where_no_article_does(world):
    own = card(world, "По штрихкоду", Артикул="BC-1")
    with world.onec.lock:
        world.onec.add("InformationRegister_ШтрихкодыНоменклатуры", Штрихкод=EAN, Номенклатура_Key=own)
    assert good_of(world, ordered(world, "barcode", EAN)) == own
    # An article that looks like a barcode goes before.
    exact = card(world, "Сам артикул", Артикул="46012345")
    with world.onec.lock:
        world.onec.add("InformationRegister_ШтрихкодыНоменклатуры", Штрихкод="46012345", Номенклатура_Key=own)
    assert good_of(world, ordered(world, "article-first", "46012345")) == exact


def test_what_is_ambiguous_is_asked_of_a_person_and_remembered(world):
    first, second = card(world, "Станок старый", Артикул="TWO"), card(world, "Станок новый", Артикул="TWO")
    orders = [ordered(world, f"two-{i}", "TWO") for i in range(2)]
    asked = wait_for(lambda: (lambda q: q if q and len(q["orders"]) == 2 else None)(questions(world).get("TWO")), what="the question")
    assert {c["id"]: c["name"] for c in asked["candidates"]} == {first: "Станок старый", second: "Станок новый"} and set(asked["orders"]) == {o["number"] for o in orders}
    assert "выберите её на странице «Товары 1С»" in asked["reason"]
    assert choose(world, 422, sku="TWO", goodId="00000000-0000-0000-0000-000000000001")
    assert choose(world, 403, login="maria", sku="TWO", goodId=second)
    assert choose(world, 404, sku="нет", goodId=second)
    # Case is nothing to an article.
    assert choose(world, sku="two", goodId=second)["orders"] == 2
    assert {good_of(world, order) for order in orders} == {second} and "TWO" not in questions(world)
    assert good_of(world, ordered(world, "two-later", "TWO")) == second, "it is remembered"
    gone = requests.delete(world.suite.url("accounting-bridge") + "/api/v1/good-links", params={"base": world.base, "sku": "TWO"}, timeout=20,
                           headers={"Authorization": f"Bearer {world.suite.token()}"})
    assert gone.status_code == 204
    # Asked again, and settled in 1C itself this time.
    later = ordered(world, "two-again", "TWO")
    wait_for(lambda: "TWO" in questions(world), what="the question again")
    with world.onec.lock:
        world.onec.sets["Catalog_Номенклатура"][second]["DeletionMark"] = True
    planned = world.suite.post("accounting-bridge", "/api/v1/replays", world.suite.token(), {"filter": {"order": later["number"]}, "dryRun": True}, status=201)
    world.suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", world.suite.token(), {}, status=202)
    assert good_of(world, later) == first
    wait_for(lambda: "TWO" not in questions(world), what="the question to be settled")


def test_a_barcode_of_two_goods_and_a_name_of_two_are_asked_too(world):
    first, second = card(world, "Общий код А", Артикул="S-1"), card(world, "Общий код Б", Артикул="S-2")
    with world.onec.lock:
        for key in (first, second):
            world.onec.add("InformationRegister_ШтрихкодыНоменклатуры", Штрихкод="4600000000015", Номенклатура_Key=key)
    shared = ordered(world, "shared-code", "4600000000015")
    asked = wait_for(lambda: questions(world).get("4600000000015"), what="the question")
    assert {c["id"] for c in asked["candidates"]} == {first, second}
    nameless = [card(world, "Без артикула", Артикул=""), card(world, "Без артикула", Артикул="")]
    named = ordered(world, "nameless", "", title="Без артикула")
    asked = wait_for(lambda: questions(world).get("Без артикула"), what="the question")
    assert choose(world, name="Без артикула", goodId=nameless[1])["orders"] == 1
    assert good_of(world, named) == nameless[1]
    # In the browser, by an accountant.
    web = requests.Session()
    web.post(world.suite.url("crm-core") + "/login", data={"login": "olga", "password": "olga-password"}, timeout=20)
    page = web.get(world.suite.url("crm-core") + "/journal/goods", timeout=20).text
    assert "4600000000015" in page and "Общий код Б · S-2" in page and shared["number"] in page
    csrf = re.search(r'name="csrf" value="([^"]+)"', page[page.index("/journal/good-links"):])[1]
    done = web.post(world.suite.url("crm-core") + "/journal/good-links", timeout=20,
                    data={"csrf": csrf, "base": world.base, "sku": "4600000000015", "name": "Станок", "goodId": first}).text
    assert "Заказов отправлено снова: 1" in done
    assert good_of(world, shared) == first


def test_what_1c_does_not_have_is_named_and_has_nothing_to_choose(world):
    ordered(world, "unknown-good", "4609999999991")
    asked = wait_for(lambda: questions(world).get("4609999999991"), what="the question")
    assert asked["candidates"] == [] and asked["reason"] == "в 1С нет товара с артикулом или штрихкодом «4609999999991»"


def test_a_site_exchange_names_the_good_by_its_barcode_too(world):
    onec = OneC(world.suite)
    onec.open()
    goods = "".join(f"<Товар><Ид>{id}</Ид><Штрихкод>{code}</Штрихкод><Наименование>{id}</Наименование></Товар>"
                    for id, code in [("by-code", "4607777777775"), ("twice-1", "4608888888884"), ("twice-2", "4608888888884")])
    xml = ('<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_2" ВерсияСхемы="2.08"><Каталог СодержитТолькоИзменения="true"><Ид>k</Ид>'
           f"<Товары>{goods}</Товары></Каталог></КоммерческаяИнформация>")
    onec.call("file", xml.encode(), type="catalog", filename="import.xml")
    wait_for(lambda: onec.call("import", type="catalog", filename="import.xml").text.startswith("success"), what="the catalog")
    orders = {ordered(world, f"site-{code}", code, "site")["number"]: code for code in ("4607777777775", "4608888888884")}
    onec.open()
    ids = {d.findtext("{*}Номер"): d.findtext("{*}Товары/{*}Товар/{*}Ид") for d in onec.documents()}
    assert {code: ids[number] for number, code in orders.items()} == {"4607777777775": "by-code", "4608888888884": "4608888888884"}
