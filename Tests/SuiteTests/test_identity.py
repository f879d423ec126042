"""Whose card a counterparty of 1C is: found by external id, INN and KPP, or a person; a rename on either side makes nobody twice."""
import html
import os
import signal

import pytest
import requests
from suite import OneC, running, wait_for
from systems import OData, odata, ours

COUNT = 5000


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity")
    folder.chmod(0o755)
    system = OData(folder, "ut11", odata.UT, 1)
    system.good("A-1")
    books = (f'\n  - {{ code: active, name: "ООО Станкоторг", inn: "7707083893", kpp: "770701001", base: {system.base} }}'
             '\n  - { code: passive, name: "ИП Петров", base: unf }',
             f'\nonec:\n  {system.settings}\n  - {{ base: unf, driver: commerceml, login: exchange, password: "обмен", firstNumber: 50000 }}')
    with running(folder, books=books) as suite:
        system.begin(suite)
        system.token = suite.token()
        yield system


def bearer(world):
    return {"Authorization": f"Bearer {world.token}"}


def cards(world, **params):
    return world.suite.get("crm-core", "/api/v1/onec-cards", world.token, limit=200, **params)["items"]


def card(world, key):
    return next((c for c in cards(world, after=f"{world.base} {key[:-1]}") if c["onecId"] == key), None)


def again(world):
    """All cards are read anew now."""
    world.suite.sql("accounting_bridge", f"UPDATE base_state SET clients_read_at = NULL WHERE base = '{world.base}'")
    for verb in ("pause", "resume"):
        requests.post(world.suite.url("accounting-bridge") + f"/api/v1/bases/{world.base}/{verb}", headers=bearer(world), timeout=20)
    os.kill(world.suite.pids()["accounting-bridge"], signal.SIGKILL)
    wait_for(lambda: world.suite.sql("accounting_bridge", f"SELECT clients_read_at IS NOT NULL FROM base_state WHERE base = '{world.base}'") == [["t"]], 90, "the cards")
    wait_for(world.suite.ready, 60, "the bridge")


def patch(world, path, body, version):
    answer = requests.patch(world.suite.url("crm-core") + path, json=body, headers={**bearer(world), "If-Match": str(version)}, timeout=20)
    assert answer.ok, answer.text
    return answer.json()


def firm(world, name, inn, kpp="770701001"):
    return world.suite.post("crm-core", "/api/v1/companies", world.token, {"name": name, "inn": inn, "kpp": kpp}, status=201)


def changes(world, client):
    return [(c["field"], c["oldValue"], c["newValue"], c["source"]) for c in world.suite.get("crm-core", f"/api/v1/clients/{client}/changes", world.token)["items"]]


def deal(world, name, company=None):
    lead = world.suite.lead(world.token, name)
    made = world.suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", world.token, {"companyId": company} if company else {})
    return made["id"], lead


def order(world, deal, key, organization, sku="A-1"):
    lines = [{"sku": sku, "name": "Станок", "quantity": "1", "price": "10.00"}]
    return world.suite.post("crm-core", f"/api/v1/deals/{deal}/orders", world.token, {"currency": "RUB", "lines": lines, "organization": organization}, key=key, status=201)


def test_five_thousand_cards_are_read_though_the_bridge_dies_on_the_way(world):
    """The first import: each card once; those with the INN and KPP of a client of ours are linked, the others wait."""
    known = firm(world, "ООО Ромашка", "7736050003")
    for number in range(COUNT - 1):
        world.onec.add("Catalog_Контрагенты", Ref_Key=f"00000000-0000-4000-8000-{number:012d}", Description=f"Клиент {number}", НаименованиеПолное=f"ООО Клиент {number}", ИНН="", КПП="")
    key = "00000000-0000-4000-9000-000000000000"
    world.onec.add("Catalog_Контрагенты", Ref_Key=key, Description="Ромашка", НаименованиеПолное="ООО «Ромашка»", ИНН="7736050003", КПП="770701001")
    world.suite.sql("accounting_bridge", f"UPDATE base_state SET clients_read_at = NULL WHERE base = '{world.base}'")
    os.kill(world.suite.pids()["accounting-bridge"], signal.SIGKILL)
    place = lambda: world.suite.sql("accounting_bridge", f"SELECT coalesce(clients_place, 'skipping 0') FROM base_state WHERE base = '{world.base}'")[0][0].split()
    at = wait_for(lambda: (lambda p: p if int(p[-1]) >= 1000 else None)(place()), 60, "the first pages")
    assert at[0] == "after", "pages go by key"
    os.kill(world.suite.pids()["accounting-bridge"], signal.SIGKILL)
    # An order that comes meanwhile waits until all clients of the base are known.
    early = order(world, deal(world, "early")[0], "early", "active")
    # What has been read goes away meanwhile: those behind it move up, and none is passed over.
    with world.onec.lock:
        for number in range(100):
            del world.onec.sets["Catalog_Контрагенты"][f"00000000-0000-4000-8000-{number:012d}"]
    wait_for(lambda: int(world.suite.sql("crm_core", "SELECT count(*) FROM onec_card")[0][0]) == COUNT, 120, "all cards")
    assert world.suite.sql("accounting_bridge", f"SELECT count(*) FROM counterparty_card WHERE base = '{world.base}'") == [[str(COUNT)]]
    said = world.suite.sql("accounting_bridge", "SELECT count(*), count(DISTINCT key) FROM event WHERE type = 'onec.counterparty.reported.v1'")
    assert said == [[str(COUNT), str(COUNT)]], "each is told once"
    assert world.suite.sql("crm_core", "SELECT state, count(*) FROM onec_card GROUP BY state ORDER BY state") == [["linked", "1"], ["waiting", str(COUNT - 1)]]
    assert card(world, key)["clientId"] == known["id"]
    given = lambda: world.suite.sql("accounting_bridge", f"SELECT e.at > b.clients_read_at FROM exchange e, base_state b WHERE e.kind = 'odata.order' AND b.base = e.base AND e.orders @> ARRAY['{early['number']}']")
    assert wait_for(given, what="the order to be given") == [["t"]]
    wait_for(lambda: world.suite.sql("accounting_bridge", f"SELECT client_id FROM counterparty_link WHERE onec_id = '{key}'") == [[known["id"]]], what="the bridge to know")
    wait_for(world.suite.ready, 60, "the bridge")


def test_a_base_that_does_not_compare_keys_is_read_by_places(world, monkeypatch):
    """Its cards are all read, too, and it is asked for each page once more at most."""
    late = world.onec.add("Catalog_Контрагенты", Ref_Key="ffffffff-0000-4000-8000-000000000000", Description="Последний", НаименованиеПолное="Последний", ИНН="", КПП="")
    monkeypatch.setattr(odata.Filter, "compares_keys", False)
    again(world)
    known = lambda: world.suite.sql("accounting_bridge", f"SELECT count(*) FROM counterparty_card WHERE base = '{world.base}' AND onec_id = '{late}'") == [["1"]]
    wait_for(known, what="the last card")
    refused = world.suite.sql("accounting_bridge", "SELECT count(*) FROM exchange WHERE kind = 'odata.clients' AND reason LIKE '%gt%'")
    assert refused == [["1"]], "what it cannot do it is asked once"


def test_a_card_made_by_hand_waits_and_a_person_decides(world):
    keys = [world.onec.add("Catalog_Контрагенты", Description=name, НаименованиеПолное=name, ИНН=inn, КПП="770701001")
            for name, inn in [("ООО Сирень", ""), ("ООО Новый", "5024002119"), ("Чужой", "")]]
    same = firm(world, "ООО Сирень", "7728168971")
    again(world)
    waiting = {key: wait_for(lambda: card(world, key), what="the card") for key in keys}
    assert [c["id"] for c in waiting[keys[0]]["candidates"]] == [same["id"]] and "нет ИНН" in waiting[keys[0]]["reason"]
    assert "в CRM нет клиента с ИНН 5024002119" in waiting[keys[1]]["reason"]
    browser = requests.Session()
    browser.post(world.suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = html.unescape(browser.get(world.suite.url("crm-core") + "/clients", timeout=20).text)
    assert "Не связаны с клиентом CRM" in page and ("Клиент 1" in page or "ООО Новый" in page)
    call = lambda key, verb, body=None: requests.post(
        world.suite.url("crm-core") + f"/api/v1/onec-cards/{world.base}/{key}/{verb}", json=body, headers=bearer(world), timeout=20)
    assert call(keys[0], "link", {"clientId": same["id"]}).json()["state"] == "linked"
    made = call(keys[1], "create").json()
    assert made["state"] == "linked"
    company = world.suite.get("crm-core", f"/api/v1/companies/{made['clientId']}", world.token)
    assert (company["name"], company["inn"], company["kpp"]) == ("ООО Новый", "5024002119", "770701001")
    assert call(keys[2], "ignore").json()["state"] == "ignored"
    assert call(keys[2], "link", {"clientId": same["id"]}).status_code == 409, "neither has two"
    assert call(keys[0], "create").status_code == 409 and call("nobody", "create").status_code == 404 and call(keys[0], "dance").status_code == 404
    assert call(keys[0], "unlink").json()["state"] == "waiting"
    # What a person has undone no rule does again.
    world.onec.sets["Catalog_Контрагенты"][keys[0]].update(ИНН="7728168971")
    again(world)
    wait_for(lambda: card(world, keys[0])["inn"] == "7728168971", what="the card to be read")
    assert card(world, keys[0])["state"] == "waiting" and "связь снята" in card(world, keys[0])["reason"]


def test_a_rename_on_either_side_is_one_client_with_a_history(world):
    """EX-13: «Иванов С.И.» becomes «Иванов Сергей Иванович» in 1C, then in the CRM; both at once is a conflict that is seen."""
    company = firm(world, "Иванов С.И.", "500100732259", kpp=None)
    own, _ = deal(world, "ivanov", company["id"])
    first = order(world, own, "ivanov-1", "active")
    wait_for(lambda: first["number"] in world.taken, what="the order in 1C")
    key = next(o["Контрагент_Key"] for o in world.orders().values() if ours(o) == first["number"])
    again(world)
    wait_for(lambda: (card(world, key) or {}).get("clientId") == company["id"], what="the card to be known")
    name = lambda: world.suite.get("crm-core", f"/api/v1/companies/{company['id']}", world.token)
    # 1C renames him.
    world.onec.sets["Catalog_Контрагенты"][key].update(Description="Иванов Сергей Иванович")
    again(world)
    wait_for(lambda: name()["name"] == "Иванов Сергей Иванович", what="the new name")
    assert ("name", "Иванов С.И.", "Иванов Сергей Иванович", f"1c/{world.base}") in changes(world, company["id"])
    # The CRM renames him: no second card, the next order is his.
    patch(world, f"/api/v1/companies/{company['id']}", {"name": "ИП Иванов"}, name()["version"])
    second = order(world, own, "ivanov-2", "active")
    wait_for(lambda: second["number"] in world.taken, what="the second order")
    assert next(o["Контрагент_Key"] for o in world.orders().values() if ours(o) == second["number"]) == key
    assert sum(1 for c in world.onec.sets["Catalog_Контрагенты"].values() if c.get("ИНН") == "500100732259") == 1
    # Both rename him: the CRM's name stays, for a name is its own; both are shown, and a person may take the other.
    world.onec.sets["Catalog_Контрагенты"][key].update(Description="Иванов С. И. (розница)")
    again(world)
    conflicts = lambda: [c for c in world.suite.get("crm-core", "/api/v1/client-conflicts", world.token)["items"] if c["clientId"] == company["id"]]
    seen = wait_for(conflicts, what="the conflict")
    assert (seen[0]["crmValue"], seen[0]["onecValue"], seen[0]["kept"]) == ("ИП Иванов", "Иванов С. И. (розница)", "crm") and "ведёт CRM" in seen[0]["rule"]
    assert name()["name"] == "ИП Иванов"
    walked, after = [], None
    while after is not False:
        page = world.suite.get("crm-core", "/api/v1/client-conflicts", world.token, limit=1, **({"after": after} if after else {}))
        walked, after = walked + [c["id"] for c in page["items"]], page["next"] or False
    assert seen[0]["id"] in walked and len(walked) == len(set(walked)) == len(world.suite.get("crm-core", "/api/v1/client-conflicts", world.token, limit=200)["items"])
    revert = lambda: requests.post(world.suite.url("crm-core") + f"/api/v1/client-conflicts/{seen[0]['id']}/revert", headers=bearer(world), timeout=20).status_code
    assert (revert(), revert()) == (204, 409)
    assert name()["name"] == "Иванов С. И. (розница)" and conflicts()[0]["reverted"]
    history = [(old, new) for field, old, new, _ in changes(world, company["id"])]
    assert history == [("ИП Иванов", "Иванов С. И. (розница)"), ("Иванов Сергей Иванович", "ИП Иванов"), ("Иванов С.И.", "Иванов Сергей Иванович")]
    browser = requests.Session()
    browser.post(world.suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = html.unescape(browser.get(world.suite.url("crm-core") + f"/companies/{company['id']}", timeout=20).text)
    assert "Как назывался" in page and "Иванов С.И. → Иванов Сергей Иванович" in page
    assert "Изменили обе стороны" in html.unescape(browser.get(world.suite.url("crm-core") + "/clients", timeout=20).text)
    assert len([c for c in world.suite.get("crm-core", "/api/v1/companies", world.token, limit=200)["items"] if c["inn"] == "500100732259"]) == 1


def test_a_base_that_looks_by_name_is_given_the_name_of_its_own_card(world):
    """УТ finds a person by his exact name (reference 59): after a rename in the CRM it must not make a second one."""
    own, lead = deal(world, "Petrov P.")
    first = order(world, own, "petrov-1", "passive")
    wait_for(lambda: world.suite.offered({first["number"]}), what="the order")
    onec = OneC(world.suite)
    onec.take_orders()
    real = onec.call
    parties = "<Контрагенты><Контрагент><Ид>onec-petrov</Ид><Наименование>Petrov P.</Наименование><Роль>Покупатель</Роль></Контрагент></Контрагенты>"
    onec.call = lambda mode, body=None, **more: real(mode, body and body.replace("<Валюта>руб<".encode(), f"{parties}<Валюта>руб<".encode(), 1), **more)
    onec.open()
    onec.send(first["number"], "10.00")
    contact = world.suite.get("crm-core", f"/api/v1/leads/{lead['id']}", world.token)["contactId"]
    wait_for(lambda: [c for c in cards(world, after="unf") if c["onecId"] == "onec-petrov" and c["clientId"] == contact], what="the card to be known")
    version = world.suite.get("crm-core", f"/api/v1/contacts/{contact}", world.token)["version"]
    patch(world, f"/api/v1/contacts/{contact}", {"name": "Petrov Petr Petrovich"}, version)
    second = order(world, own, "petrov-2", "passive")
    wait_for(lambda: world.suite.offered({second["number"]}), what="the second order")
    onec.call = real
    onec.open()
    party = next(d for d in onec.documents() if d.findtext("{*}Номер") == second["number"]).find("{*}Контрагенты/{*}Контрагент")
    assert (party.findtext("{*}Ид"), party.findtext("{*}Наименование")) == ("onec-petrov", "Petrov P.")
    assert ("name", "Petrov P.", "Petrov Petr Petrovich", "crm") in changes(world, contact)


def test_whose_a_field_is_a_person_says_and_a_write_by_another_is_refused_and_kept(world):
    client = firm(world, "ООО Владение", "7704217370")
    key = world.onec.add("Catalog_Контрагенты", Description="Владение", НаименованиеПолное="ООО Владение", ИНН="7704217370", КПП="770701001")
    again(world)
    wait_for(lambda: (card(world, key) or {}).get("clientId") == client["id"], what="the card to be linked")
    call = lambda field, owner, token=None: requests.put(
        world.suite.url("crm-core") + f"/api/v1/ownership/{field}", json={"owner": owner}, headers={"Authorization": f"Bearer {token or world.token}"}, timeout=20)
    assert call("kpp", "nobody").status_code == 422 and call("inn", "onec", world.suite.token("maria")).status_code == 403 and call("age", "crm").status_code == 404
    assert {f["field"]: f["owner"] for f in call("kpp", "onec").json()["fields"]} == {"name": "both", "inn": "both", "kpp": "onec"}
    current = lambda: world.suite.get("crm-core", f"/api/v1/companies/{client['id']}", world.token)
    refused = requests.patch(world.suite.url("crm-core") + f"/api/v1/companies/{client['id']}", json={"kpp": "770801001"},
                             headers={**bearer(world), "If-Match": str(current()["version"])}, timeout=20)
    assert refused.status_code == 409 and "КПП: ведёт 1С" in refused.json()["detail"], refused.text
    assert current()["kpp"] == "770701001"
    kept = world.suite.get("crm-core", "/api/v1/ownership", world.token)["refused"][0]
    assert (kept["by"], kept["data"], kept["value"]) == ("Администратор", "client.kpp", "770801001")
    # Of one who has no card there it is nobody else's yet, and what is not its own the CRM changes as before.
    other = firm(world, "ООО Без карточки", "7710140679")
    assert patch(world, f"/api/v1/companies/{other['id']}", {"kpp": "771001001"}, other["version"])["kpp"] == "771001001"
    # The other way round: what is the CRM's alone 1C does not change; both values stand in the list.
    call("name", "crm"), call("kpp", "both")
    with world.onec.lock:
        world.onec.sets["Catalog_Контрагенты"][key].update(Description="Владение Плюс", НаименованиеПолное="ООО Владение Плюс")
    again(world)
    conflict = wait_for(lambda: [c for c in world.suite.get("crm-core", "/api/v1/client-conflicts", world.token)["items"] if c["clientId"] == client["id"]], what="the conflict")[0]
    assert (conflict["kept"], conflict["rule"]) == ("crm", "имя клиента: ведёт CRM") and conflict["onecValue"].endswith("Владение Плюс")
    assert current()["name"] == "ООО Владение"
    browser = requests.Session()
    browser.post(world.suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = browser.get(world.suite.url("crm-core") + "/clients", timeout=20).text
    assert "Отклонённые записи" in page and "770801001" in page and "ведёт CRM, 1С не меняет" in page
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    browser.post(world.suite.url("crm-core") + "/clients", data={"csrf": csrf, "verb": "own", "field": "name", "owner": "both"}, timeout=20)
    assert {f["field"]: f["owner"] for f in world.suite.get("crm-core", "/api/v1/ownership", world.token)["fields"]} == {"name": "both", "inn": "both", "kpp": "both"}
