"""Several bases, one truth: exactly one is authoritative for each kind of document, and the same payment seen in two counts once."""
import uuid

import pytest
from suite import OneC, running, wait_for
from systems import CommerceML, EnterpriseData, Folder, OData, odata

RUB = lambda amount: {"amount": amount, "currency": "RUB"}


class Pair:
    """A base that has the orders, and another that keeps their money."""

    def __init__(self, name, orders, books):
        self.name, self.orders, self.books = name, orders, books

    def organization(self, kinds="payment"):
        books = ", ".join(f"{kind}: {self.books.base}" for kind in kinds.split())
        return (f'\n  - {{ code: {self.name}, name: "ООО {self.name}", inn: "7707083893", kpp: "770701001", base: {self.orders.base}'
                + (f", books: {{ {books} }}" if books else "") + " }")

    def ordered(self, name):
        """An order that the one base has, and that has come to the other, too, as 1C's own exchange between them brings it: under its key."""
        self.orders.good(f"{name}-{self.name}")
        suite, token = self.orders.suite, self.orders.suite.token()
        order = suite.order(token, f"{name}-{self.name}", organization=self.name, company=self.company(suite, token))

        def works():
            self.orders.works()
            return order["number"] in self.orders.taken
        wait_for(works, what="the order to be taken")
        self.orders.tell(order["number"], "10.00")
        wait_for(lambda: self.state(order)["status"] == "accepted", what="the order to be accepted")
        self.copy(order)
        return order

    def company(self, suite, token):
        """The client of all of the pair's orders."""
        if not hasattr(self, "firm"):
            inn = {"site-and-file": "7736050003", "ut-and-bp": "7704217370", "csv-and-enterprise": "7710140679"}[self.name]
            self.firm = suite.post("crm-core", "/api/v1/companies", token, {"name": f"ООО {self.name}", "inn": inn, "kpp": "770701001"}, status=201)["id"]
        return self.firm

    def copy(self, order):
        key = self.orders.suite.sql("accounting_bridge", f"SELECT coalesce(onec_id, id::text) FROM order_out WHERE number = '{order['number']}'")[0][0]
        if isinstance(self.books, OData):
            with self.books.onec.lock:
                self.books.onec.add(self.books.names["orders"], Ref_Key=key, Number="7", Date="2026-11-20T10:00:00", Posted=True, СуммаДокумента=10,
                                    Комментарий=f"Throughline № {order['number']}.")
        elif isinstance(self.books, EnterpriseData):
            self.books.node.base.orders[key] = {"number": order["number"], "total": 10, "onec": "7", "deleted": False, "posted": True, "client": "-", "lines": []}

    def pays(self, order, *payments, **more):
        """The books tell of money."""
        if isinstance(self.books, EnterpriseData):
            node = self.books.node
            with node.lock:
                for id, amount in payments:
                    own = self.books.documents.setdefault(f"{order['number']}-{id}", str(uuid.uuid4()))
                    node.document(own, "ПБДСРасчетыСКонтрагентами", id, amount, {self.books.key(order["number"]): amount})
                node.run()
        else:
            self.books.tell(order["number"], "10.00", payments=payments, **more)

    def state(self, order):
        return self.orders.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", self.orders.suite.token())

    def becomes(self, order, **wanted):
        def found():
            now = self.state(order)
            return all(now[key] == value for key, value in wanted.items())
        try:
            wait_for(found, 30)
        except AssertionError:
            now = self.state(order)
            raise AssertionError({key: (now[key], value) for key, value in wanted.items()} | {"documents": now["documents"]}) from None

    def documents(self, order):
        return {(d["base"], d["kind"], d["amount"]["amount"], d["counts"]) for d in self.state(order)["documents"]}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authority")
    folder.chmod(0o755)
    enterprise = EnterpriseData(folder)
    found = [Pair("site-and-file", CommerceML(folder), Folder(folder)), Pair("ut-and-bp", OData(folder, "ut11", odata.UT, 4000), OData(folder, "bp3", odata.BP, 7000)),
             Pair("csv-and-enterprise", OData(folder, "unf", odata.UNF, 5000), enterprise)]
    # The first base's orders, of another organization, whose money is kept in the last.
    found.append(Pair("site-and-enterprise", found[0].orders, enterprise))
    systems = {system.base: system for pair in found for system in (pair.orders, pair.books)}
    organizations = "".join(pair.organization() for pair in found)
    bases = "\nonec:" + "".join(f"\n  {system.settings}" for system in systems.values())
    with running(folder, books=(organizations, bases)) as suite:
        for system in systems.values():
            system.begin(suite)
        yield {pair.name: pair for pair in found}


@pytest.fixture(params=["site-and-file", "ut-and-bp", "csv-and-enterprise"])
def pair(request, pairs):
    return pairs[request.param]


def test_the_same_payment_in_two_bases_counts_once(pair):
    order = pair.ordered("once")
    suite, token = pair.orders.suite, pair.orders.suite.token()
    pair.orders.tell(order["number"], "10.00", payments=[("500", "4.00")], shipments=[("s", "10.00")])
    wait_for(lambda: any(d["kind"] == "payment" for d in pair.state(order)["documents"]), what="the payment to be seen")
    pair.becomes(order, paid=RUB("0.00"), payment="none", shipment="full")
    pair.pays(order, ("500", "4.00"))
    pair.becomes(order, paid=RUB("4.00"), owed=RUB("6.00"), payment="partly", shipment="full")
    assert {(base, amount, counts) for base, kind, amount, counts in pair.documents(order) if kind == "payment"} == {
        (pair.orders.base, "4.00", False), (pair.books.base, "4.00", True)}
    # The figure in the report, and its step in the line: once.
    key = lambda base: suite.sql("bi_aggregator", f"SELECT sum(amount) FROM fact WHERE metric = 'money.received' AND counted AND key LIKE '{base}/%/{order['number']}'")[0][0]
    wait_for(lambda: key(pair.books.base) not in ("", None) and float(key(pair.books.base)) == 4.0, what="the figure")
    assert key(pair.orders.base) in ("", None)
    paid = lambda: [s for s in suite.get("crm-core", f"/api/v1/journeys/{order['journeyId']}", token)["steps"] if s["kind"] == "crm.payment.recorded"]
    assert len(wait_for(paid, what="its step")) == 1
    # What follows in the books follows here.
    pair.pays(order, ("500", "4.00"), ("501", "6.00"))
    pair.becomes(order, paid=RUB("10.00"), payment="full")
    deal = suite.get("crm-core", f"/api/v1/deals/{order['dealId']}", token)
    acts = suite.get("crm-core", f"/api/v1/companies/{deal['companyId']}/settlements", token)["acts"]
    assert [sorted(line["number"] for line in act["lines"] if line["kind"] == "payment") for act in acts] == [["500", "501"]], "and once among the settlements"


def test_what_two_bases_see_differently_is_a_row_of_the_comparison(pair):
    order = pair.ordered("differs")
    suite, token = pair.orders.suite, pair.orders.suite.token()
    rows = lambda: [d["words"] for d in suite.get("crm-core", "/api/v1/reconciliation", token)["differences"] if d["orderNumber"] == order["number"]]
    pair.orders.tell(order["number"], "10.00", payments=[("600", "3.00")])
    wait_for(lambda: any(d["kind"] == "payment" for d in pair.state(order)["documents"]), what="the payment to be seen")
    [words] = wait_for(rows, what="the difference")
    assert f"база {pair.orders.base} видит оплат на 3,00" in words and "на 0,00" in words
    assert [d["isBetweenBases"] for d in suite.get("crm-core", "/api/v1/reconciliation", token)["differences"] if d["orderNumber"] == order["number"]] == [True]
    pair.pays(order, ("600", "3.00"))
    pair.becomes(order, paid=RUB("3.00"))
    wait_for(lambda: not rows(), what="the bases to agree")


def test_money_that_is_told_before_its_order_s_key_is_known_is_not_lost(pairs):
    """«Бухгалтерия» tells of a payment by the key that «Управление торговлей» has given the order, and that it has not told us yet."""
    pair = pairs["site-and-enterprise"]
    suite, site, node = pair.orders.suite, pair.orders, pair.books.node
    order = suite.order(suite.token(), "early-money", organization=pair.name)
    wait_for(lambda: (site.works(), order["number"] in site.taken)[1], what="the order to be taken")
    key = str(uuid.uuid4())
    with node.lock:
        node.document(str(uuid.uuid4()), "ПБДСРасчетыСКонтрагентами", "П-9", "10.00", {key: "10.00"})
        node.run()
    wait_for(lambda: suite.sql("accounting_bridge", f"SELECT 1 FROM told_stranger WHERE key = '{key}'"), what="the money to be kept")
    site.onec.open()
    body = OneC.written(order["number"], "10.00").replace(f"guid-{order['number']}".encode(), key.encode())
    assert site.onec.call("file", body, filename="orders.xml").text == "success"
    pair.becomes(order, paid=RUB("10.00"), payment="full")
    assert suite.sql("accounting_bridge", "SELECT count(*) FROM told_stranger") == [["0"]]


def test_a_base_that_keeps_nothing_of_an_organization_has_no_say(pairs):
    pair, stranger = pairs["ut-and-bp"], pairs["site-and-file"].books
    order = pair.ordered("stranger")
    stranger.tell(order["number"], "10.00", payments=[("700", "10.00")])
    parked = lambda: [p for p in stranger.suite.get("accounting-bridge", "/api/v1/parked", stranger.suite.token(), limit=200)["items"]
                      if p["number"] == order["number"] and p["base"] == stranger.base]
    assert f"ведёт база {pair.orders.base}" in wait_for(parked, what="it to be parked")[0]["reason"]
    assert pair.state(order)["payment"] == "none"


def test_other_settings_count_what_was_told_anew(pairs):
    """Last, for it changes them: from now on the orders' own bases keep the money, too."""
    some = [pair for name, pair in pairs.items() if name != "site-and-enterprise"]
    suite, orders = some[0].orders.suite, {pair.name: pair.ordered("moved") for pair in some}
    for pair in some:
        pair.orders.tell(orders[pair.name]["number"], "10.00", payments=[("800", "7.00")])
        wait_for(lambda: any(d["kind"] == "payment" for d in pair.state(orders[pair.name])["documents"]), what="the payment to be seen")
        pair.pays(orders[pair.name], ("800", "5.00"))
        pair.becomes(orders[pair.name], paid=RUB("5.00"))
    config = suite.config.read_text()
    suite.stop()
    for pair in pairs.values():
        config = config.replace(pair.organization(), pair.organization(""))
    suite.config.write_text(config)
    suite.start()
    for pair in some:
        pair.becomes(orders[pair.name], paid=RUB("7.00"), owed=RUB("3.00"))
        assert {(base, counts) for base, kind, _, counts in pair.documents(orders[pair.name]) if kind == "payment"} == {
            (pair.orders.base, True), (pair.books.base, False)}
    assert suite.sql("accounting_bridge", "SELECT count(*) FROM order_books WHERE ask_at IS NOT NULL") == [["0"]]
