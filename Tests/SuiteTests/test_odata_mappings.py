"""What an order needs in УТ 11.5 is written, and what a base of another release lacks is named."""
from decimal import Decimal

import pytest
from suite import running, wait_for
from systems import OData, odata


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    """A base of 11.5, one of 11.4 that is taken for one of 11.5, a БП and an УНФ."""
    folder = tmp_path_factory.mktemp("mappings")
    folder.chmod(0o755)
    found = {"ut": OData(folder, "ut11", odata.UT, 1), "old": OData(folder, "ut11", odata.UT114, 1000), "bp": OData(folder, "bp3", odata.BP, 2000),
             "unf": OData(folder, "unf", odata.UNF, 3000)}
    found["old"].organization = found["old"].base = "old"
    found["old"].settings = found["old"].settings.replace("base: odata-ut11", "base: old")
    books = ("".join(f'\n  - {{ code: {s.organization}, name: "ООО {name}", inn: "7707083893", kpp: "770701001", base: {s.base} }}' for name, s in found.items()),
             "\nonec:" + "".join(f"\n  {s.settings}" for s in found.values()))
    with running(folder, books=books) as suite:
        for system in found.values():
            system.begin(suite)
            system.token = suite.token()
        yield found


@pytest.fixture
def ut(systems):
    return systems["ut"]


def placed(system, name, company=None, **line):
    system.good(name)
    lines = [{"sku": name, "name": name, "quantity": "2", "price": "61.00", **line}]
    return system.suite.order(system.token, name, lines, company=company, organization=system.organization)


def given(system, order):
    wait_for(lambda: order["number"] in system.taken, what="the order")
    return system.orders()[system.key(order["number"])]


def refused(system, order):
    story = lambda: system.suite.get("accounting-bridge", f"/api/v1/order-stories/{order['number']}", system.token)
    return wait_for(lambda: story() if story()["state"] == "refused" else None, what="it to be set aside")["verdict"]


def firm(system, name, inn, kpp=None):
    body = {"name": name, "inn": inn, **({"kpp": kpp} if kpp else {})}
    return system.suite.post("crm-core", "/api/v1/companies", system.token, body, status=201)["id"]


def card(system, document):
    return system.onec.sets["Catalog_Контрагенты"][document["Контрагент_Key"]]


def test_a_row_says_its_tax_its_discount_and_its_packs(ut):
    document = given(ut, placed(ut, "row", vat="22", discount="2.00"))
    [row] = document["Товары"]
    rate = ut.onec.sets[odata.RATES][row["СтавкаНДС_Key"]]
    assert rate["ПеречислениеСтавкаНДС"] == "НДС22"
    assert (float(row["Сумма"]), float(row["СуммаСНДС"]), float(row["СуммаНДС"]), float(row["СуммаРучнойСкидки"])) == (120, 120, 21.64, 2)
    assert row["КоличествоУпаковок"] == row["Количество"] == 2
    assert document["ЦенаВключаетНДС"] is True and document["НалогообложениеНДС"] == "ПродажаОблагаетсяНДС"


def test_a_rate_that_the_base_does_not_have_sets_one_order_aside_by_name(ut):
    assert "ставки НДС НДС7" in refused(ut, placed(ut, "seven", vat="7"))
    given(ut, placed(ut, "ten", vat="10"))


def test_a_new_client_gets_a_partner_and_the_order_names_him(ut):
    document = given(ut, placed(ut, "partner", company=firm(ut, "ООО Сокол", "7728168971", "772801001")))
    partner = ut.onec.sets["Catalog_Партнеры"][document["Партнер_Key"]]
    assert card(ut, document)["Партнер_Key"] == document["Партнер_Key"]
    assert (partner["Description"], partner["ЮрФизЛицо"], partner["Клиент"]) == ("ООО Сокол", "Компания", True)
    assert card(ut, document)["ЮрФизЛицо"] == "ЮрЛицо"
    count = len(ut.onec.sets["Catalog_Партнеры"])
    [[company]] = ut.suite.sql("accounting_bridge", f"SELECT client_id FROM counterparty_link WHERE onec_id = '{document['Контрагент_Key']}'")
    again = given(ut, placed(ut, "partner-2", company=company))
    assert again["Партнер_Key"] == document["Партнер_Key"] and len(ut.onec.sets["Catalog_Партнеры"]) == count


def test_a_sole_trader_is_no_firm_there(ut):
    document = given(ut, placed(ut, "trader", company=firm(ut, "ИП Иванов", "500100732259")))
    assert card(ut, document)["ЮрФизЛицо"] == "ИндивидуальныйПредприниматель"


def test_a_card_without_a_partner_sets_its_order_aside_by_name(ut):
    ut.onec.add("Catalog_Контрагенты", Description="ООО Без партнёра", ИНН="7736050003", КПП="770701001", Партнер_Key=odata.EMPTY)
    order = placed(ut, "alone", company=firm(ut, "ООО Без партнёра", "7736050003", "770701001"))
    assert "не указан партнёр" in refused(ut, order)


def test_money_is_found_by_the_object_of_settlements(ut):
    order = placed(ut, "settled")
    given(ut, order)
    ut.tell(order["number"], "122.00", payments=[("s1", "100.00")], refunds=[("s2", "20.00")], shipments=[("s3", "122.00")], returns=[("s4", "61.00")])
    state = lambda: ut.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", ut.token)
    wait_for(lambda: state()["owed"] == {"amount": "42.00", "currency": "RUB"}, what="the money")
    kinds = {d["kind"]: d["amount"]["amount"] for d in wait_for(lambda: state()["documents"] if len(state()["documents"]) == 4 else None, what="four documents")}
    assert kinds == {"payment": "100.00", "refund": "20.00", "shipment": "122.00", "return": "61.00"}


def test_a_release_that_is_another_is_named_at_connect_and_gets_nothing(systems):
    old = systems["old"]
    alarms = lambda: [a["cause"] for b in old.suite.get("accounting-bridge", "/api/v1/bases", old.token)["items"] if b["base"] == "old" for a in b["alarms"]]
    wanted = ("у объекта Document_ЗаказКлиента_Товары нет поля СтавкаНДС_Key", "нет объекта Catalog_СтавкиНДС")
    wait_for(lambda: [cause for cause in alarms() if all(words in cause for words in wanted)], what="the lack to be named")
    order = placed(old, "nowhere")
    # Another base has its order meanwhile.
    given(systems["ut"], placed(systems["ut"], "somewhere"))
    story = old.suite.get("accounting-bridge", f"/api/v1/order-stories/{order['number']}", old.token)
    assert old.taken == {} and story["state"] == "ready" and "СтавкаНДС_Key" in story["verdict"]


def test_many_shipments_of_many_orders_are_asked_for_in_more_than_one_question(ut):
    """A question that is too long for a web server would stop the reading of the whole base."""
    orders = [placed(ut, f"many-{number}") for number in range(6)]
    for order in orders:
        given(ut, order)
        ut.tell(order["number"], "122.00", shipments=[(f"m{part}", "30.50") for part in range(4)], returns=[("r", "10.00")], payments=[("p", "122.00")])
    state = lambda order: ut.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", ut.token)
    for order in orders:
        wait_for(lambda: state(order)["returned"] == {"amount": "10.00", "currency": "RUB"} and state(order)["payment"] == "full", what="its return")
    alarms = [a for b in ut.suite.get("accounting-bridge", "/api/v1/bases", ut.token)["items"] if b["base"] == ut.base for a in b["alarms"] if a["kind"] != "refusals"]
    assert alarms == []


def test_one_shipment_for_several_orders_gives_each_what_its_rows_say(ut):
    orders = [placed(ut, f"together-{number}") for number in range(2)]
    for order in orders:
        given(ut, order)
    state = lambda order: ut.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", ut.token)
    documents = lambda order: {d["kind"]: d["amount"]["amount"] for d in state(order)["documents"]}
    empty = {"ЗаказКлиента": "", "ЗаказКлиента_Type": "StandardODATA.Undefined"}
    with ut.onec.lock:
        first, second = ({**ut.link("ЗаказКлиента", ut.key(order["number"]))} for order in orders)
        rows = [(first, "100.00"), (second, "61.00"), (first, "22.00"), (empty, "7.00")]
        shipment = ut.onec.add("Document_РеализацияТоваровУслуг", Number="Т-1", Date="2026-11-20T10:00:00", Posted=True, СуммаДокумента=Decimal(190), **empty,
                               Товары=[{"LineNumber": str(n + 1), "СуммаСНДС": Decimal(sum), **link} for n, (link, sum) in enumerate(rows)])
        # The header may name the order that the rows name, too: it is one shipment.
        ut.onec.add("Document_РеализацияТоваровУслуг", Number="Т-2", Date="2026-11-20T11:00:00", Posted=True, СуммаДокумента=Decimal(61), **second,
                    Товары=[{"LineNumber": "1", "СуммаСНДС": Decimal(61), **second}])
        for order in orders:
            ut.onec.changed(ut.names["orders"], ut.key(order["number"]))
    wait_for(lambda: state(orders[0])["shipped"]["amount"] == "122.00" and state(orders[1])["shipped"]["amount"] == "122.00", what="both to be shipped")
    assert documents(orders[0]) == {"shipment": "122.00"} and [d["amount"]["amount"] for d in state(orders[1])["documents"]] == ["61.00", "61.00"]
    # What came back of it says not whose it was: that is said, and nothing is made up; all else of the orders is told as before.
    with ut.onec.lock:
        ut.onec.add("Document_ВозвратТоваровОтКлиента", Number="В-1", Date="2026-11-21T10:00:00", Posted=True, СуммаДокумента=Decimal(30),
                    **ut.link("ДокументРеализации", shipment, "Document_РеализацияТоваровУслуг"))
        for order in orders:
            ut.onec.changed(ut.names["orders"], ut.key(order["number"]))
    for order in orders:
        wait_for(lambda: state(order)["returned"] is None, what="the return to be seen")
        assert "нескольким заказам" in state(order)["returnedUnknown"] and state(order)["shipped"]["amount"] == "122.00"
        assert state(order)["shipment"] == "unknown" and "нескольким заказам" in state(order)["shipmentUnknown"]
        assert [d["amount"] for d in state(order)["documents"] if d["kind"] == "return"] == [None]
    ut.tell(orders[0]["number"], "122.00", payments=[("t1", "100.00")])
    wait_for(lambda: state(orders[0])["paid"]["amount"] == "100.00", what="the payment")
    with ut.onec.lock:
        del ut.onec.sets[ut.names["payments"]][ut.documents[f"{orders[0]['number']}-t1"]]
        ut.onec.changed(ut.names["orders"], ut.key(orders[0]["number"]))
    wait_for(lambda: state(orders[0])["paid"]["amount"] == "0.00", what="the payment to be gone")


def test_cards_and_returns_of_unf_are_told_apart_by_their_operation(systems):
    unf, cards, incoming = systems["unf"], "Document_ОперацияПоПлатежнымКартам", "Document_ПриходнаяНакладная"
    order = placed(unf, "cards")
    given(unf, order)
    with unf.onec.lock:
        key = unf.key(order["number"])
        names = {"Заказ": key, "Заказ_Type": f"StandardODATA.{unf.names['orders']}"}
        own = {"Date": "2026-11-20T10:00:00", "Posted": True}
        for number, operation, amount in [("k1", "ПоступлениеОплатыОтПокупателя", 122), ("k2", "ВозвратОплатыПокупателю", 20), ("k3", "Прочее", 7)]:
            unf.onec.add(cards, Number=number, ВидОперации=operation, РасшифровкаПлатежа=[{"LineNumber": "1", "СуммаПлатежа": Decimal(amount), **names}], **own)
        for number, operation, amount in [("v1", "ВозвратОтПокупателя", 61), ("v2", "ПоступлениеОтПоставщика", 500)]:
            unf.onec.add(incoming, Number=number, ВидОперации=operation, СуммаДокумента=Decimal(amount), **names, **own)
    state = lambda: unf.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", unf.token)
    told = wait_for(lambda: state()["documents"] if len(state()["documents"]) >= 3 else None, what="the documents")
    assert sorted((d["kind"], d["amount"]["amount"]) for d in told) == [("payment", "122.00"), ("refund", "20.00"), ("return", "61.00")]


def test_cards_and_cash_refunds_of_ut_are_read(ut):
    order = placed(ut, "ut-cards")
    given(ut, order)
    cards, cash = "Document_ОперацияПоПлатежнойКарте", "Document_РасходныйКассовыйОрдер"
    with ut.onec.lock:
        settled = {"ОбъектРасчетов_Key": ut.onec.settlement(ut.key(order["number"]))}
        for entity, number, operation, amount in [(cards, "k1", "ПоступлениеОплатыОтКлиента", 122), (cards, "k2", "ВозвратОплатыКлиенту", 20),
                                                  (cash, "r1", "ВозвратОплатыКлиенту", 30), (cash, "r2", "ВыдачаПодотчетнику", 7)]:
            ut.onec.add(entity, Number=number, ХозяйственнаяОперация=operation, Date="2026-11-20T10:00:00", Posted=True,
                        РасшифровкаПлатежа=[{"LineNumber": "1", "Сумма": Decimal(amount), **settled}])
    state = lambda: ut.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", ut.token)
    told = wait_for(lambda: state()["documents"] if len(state()["documents"]) >= 3 else None, what="the documents")
    assert sorted((d["kind"], d["amount"]["amount"]) for d in told) == [("payment", "122.00"), ("refund", "20.00"), ("refund", "30.00")]


def test_an_invoice_of_bp_has_what_it_must_have(systems):
    bp = systems["bp"]
    document = given(bp, placed(bp, "invoice", vat="20", company=firm(bp, "ИП Петров", "771400000089")))
    [row] = document["Товары"]
    assert row["Номенклатура_Type"] == "StandardODATA.Catalog_Номенклатура" and float(row["СуммаНДС"]) == 20.33
    assert document["ОрганизацияПолучатель_Key"] == document["Организация_Key"] and document["ВидОперации"] == "ТоварыИУслуги"
    assert card(bp, document)["ЮридическоеФизическоеЛицо"] == "ФизическоеЛицо"
