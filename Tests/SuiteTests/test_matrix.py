"""A thousand orders out and a thousand payments back, through everything that goes wrong on the way of each kind of system: as many documents as orders, to the
kopeck, each client's in their order, nothing of it twice, and the journal whole. The same for 1C over OData is in `test_faults_of_1c.py`."""
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from xml.etree import ElementTree

import pytest
import requests
from suite import running, wait_for
from systems import EnterpriseData, Folder, site_exchange

COUNT = int(os.environ.get("THROUGHLINE_ORDERS", "1000"))
CLIENTS = 20
DICE = random.Random(20261126)


def price(i):
    return Decimal(f"{i + 1}.{i % 100:02d}")


class Site:
    """A configuration that comes to us. It misbehaves as they do: success is lost, sessions are broken off, it is restored from a backup."""

    driver, kind, direction = "commerceml", "sale.query", "in"

    def __init__(self, name, base, first):
        self.profile, self.organization, self.base, self.turn = site_exchange.PROFILES[name], base, base, 0
        self.settings = f'- {{ base: {base}, driver: commerceml, login: {base}, password: "обмен", firstNumber: {first} }}'

    def begin(self, suite):
        self.suite = suite
        self.client = site_exchange.Client(self.profile, f"{suite.url('accounting-bridge')}/1c/{self.base}/exchange", self.base, "обмен")

    def works(self):
        self.turn += 1
        try:
            if self.turn % 7 == 3:
                # Half of the answer, and the connection is gone.
                self.client.enter("sale")
                self.client.http.get(f"{self.client.url}?type=sale&mode=query", headers={"Cookie": self.client.cookie}, stream=True, timeout=20).close()
                return
            self.client.load_orders(loses_success=self.turn % 4 == 1)
        except (site_exchange.Failed, requests.RequestException):
            return

    def documents(self):
        return list(self.client.stored.items())

    def pay(self, numbers, sums):
        """Each order's state in a session of its own, every twelfth of which goes wrong in another way. What was broken off is told anew."""
        faults, left = ["down", "late", "half", "html", "changed"], list(numbers)
        for attempt in range(4):
            failed = []
            for i, number in enumerate(left):
                self.client.failed, self.client.fault = False, faults[i // 12 % len(faults)] if attempt == 0 and i % 12 == 0 else None
                # What was not acknowledged, and what we could not read, its operator sends again.
                is_spoilt = self.client.fault in ("html", "changed")
                try:
                    self.client.send_state(number, str(sums[number]), paid=str(sums[number]))
                except (site_exchange.Failed, requests.RequestException):
                    failed.append(number)
                    continue
                if is_spoilt:
                    failed.append(number)
            left = failed
            if not left:
                return
        raise AssertionError(f"not taken: {left}")


class Files:
    """A folder that comes and goes, reports twice, a half one left by a crash."""

    driver, kind, direction = "folder", "folder.order", "out"

    def __init__(self, folder):
        self.system = Folder(folder)
        self.organization, self.base, self.settings = self.system.organization, self.system.base, self.system.settings.replace(" }", ", ratePerMinute: 60000 }")
        self.turn = 0

    def begin(self, suite):
        self.suite = suite
        self.system.begin(suite)
        wait_for((self.system.folder / "orders/taken").is_dir, what="the folder to be set up")

    def works(self):
        self.turn += 1
        if self.turn % 40 == 20:
            self.system.down()
            threading.Event().wait(0.3)
            self.system.up()
        try:
            self.system.works()
        except FileNotFoundError:
            pass

    def documents(self):
        return [(number, order.total) for number, order in self.system.taken.items()]

    def pay(self, numbers, sums):
        (self.system.folder / "reports/.half.json.part").write_text('{"orders": [')
        for i, number in enumerate(numbers):
            for _ in range(2 if i % 10 == 0 else 1):
                self.system.tell(number, str(sums[number]), payments=[("p", str(sums[number]))])
            if i % 250 == 125:
                self.system.down()
                threading.Event().wait(0.3)
                self.system.up()


class Messages:
    """1C behind EnterpriseData: messages that are lost, cut in half, and a base that is restored from a backup in the middle of it."""

    driver, kind, direction = "enterprisedata", "enterprise.order", "out"

    def __init__(self, folder):
        self.system = EnterpriseData(folder, first=60000)
        self.organization, self.base, self.settings = self.system.organization, self.system.base, self.system.settings
        self.turn, self.backup = 0, None

    def begin(self, suite):
        self.suite = suite
        self.system.begin(suite)

    def works(self):
        self.turn += 1
        node = self.system.node
        with node.lock:
            if self.turn % 11 == 5 and node.outgoing.exists():
                # Half of its message, as a share that broke off leaves it; its next run by the timer writes a whole one.
                whole = node.outgoing.read_bytes()
                node.outgoing.write_bytes(whole[:len(whole) // 2])
            if self.turn % 11 == 0:
                node.write()
            if self.turn % 13 == 7:
                node.incoming.unlink(missing_ok=True)
            if self.turn == 30:
                self.backup = node.snapshot(), list(node.taken)
            if self.turn == 60 and self.backup:
                # What it has lost it takes again: that is no second one.
                node.restore(self.backup[0])
                node.taken[:] = self.backup[1]
            try:
                node.run()
            except (ElementTree.ParseError, FileNotFoundError):
                pass

    def documents(self):
        return [(number, order.total) for number, order in self.system.taken.items()]

    def pay(self, numbers, sums):
        node = self.system.node
        with node.lock:
            for number in numbers:
                key = self.system.key(number)
                amount = sums[number]
                node.document(str(DICE.getrandbits(128).to_bytes(16, "big").hex()[:8]) + "-0000-4000-8000-" + f"{int(number):012d}",
                              "ПБДСРасчетыСКонтрагентами", f"П-{number}", amount, {key: amount})
        # Its exchange runs on a timer, with the same faults.
        for _ in range(12):
            self.works()
            threading.Event().wait(0.2)


KINDS = ["ut", "unf", "folder", "enterprise"]


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    folder.chmod(0o755)
    found = dict(zip(KINDS, [Site("УТ 11", "ut", 20000), Site("УНФ 2.10", "unf", 40000), Files(folder), Messages(folder)]))
    organizations = "".join(f'\n  - {{ code: {s.organization}, name: "ООО {s.base}", inn: "7707083893", kpp: "770701001", base: {s.base} }}' for s in found.values())
    with running(folder, books=(organizations, "\nonec:" + "".join(f"\n  {s.settings}" for s in found.values()))) as suite:
        for system in found.values():
            system.begin(suite)
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_orders_and_their_payments(systems, kind):
    system = systems[kind]
    suite = system.suite
    token = suite.token()

    def deal(i):
        lead = suite.lead(token, f"{system.base}-{i}")
        return suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {})["id"]
    deals = [deal(i) for i in range(CLIENTS)]

    def order(i):
        line = {"sku": "A-1", "name": "Станок", "quantity": "1", "price": str(price(i))}
        return suite.post("crm-core", f"/api/v1/deals/{deals[i % CLIENTS]}/orders", token, {"currency": "RUB", "organization": system.organization, "lines": [line]},
                          key=f"{system.base}-{i}", status=201)
    over, broken = threading.Event(), []

    def trouble():
        """1C at work, and the bridge killed in the middle of it."""
        while not over.wait(0.05):
            try:
                system.works()
            except Exception as error:  # noqa: BLE001: what its rules were broken by is the test's result
                broken.append(error)
                return
    worker = threading.Thread(target=trouble)
    worker.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            parts = [pool.submit(lambda part=part: [(i, order(i)) for i in range(part, COUNT, 4)]) for part in range(4)]
            for _ in range(3):
                threading.Event().wait(COUNT / 400)
                os.kill(suite.pids()["accounting-bridge"], signal.SIGKILL)
                wait_for(suite.ready, 60, "the bridge")
            mine = dict(pair for part in parts for pair in part.result())
        left = lambda: suite.sql("accounting_bridge", f"SELECT count(*) FROM order_out WHERE base = '{system.base}' AND state <> 'sent'")
        known = lambda: suite.sql("accounting_bridge", f"SELECT count(*) FROM order_out WHERE base = '{system.base}'") == [[str(COUNT)]]
        # Given and made are two things where a base takes when it likes.
        wait_for(lambda: broken or known() and left() == [["0"]] and len(system.documents()) >= COUNT, 300, "all to be through")
    finally:
        over.set()
        worker.join()
    assert not broken, broken
    numbers = {order["number"]: i for i, order in mine.items()}
    sums = {number: price(i) for number, i in numbers.items()}
    made = system.documents()
    assert len(made) == len({n for n, _ in made}) == COUNT and dict(made) == sums
    sequence = {}
    for number, _ in made:
        sequence.setdefault(numbers[number] % CLIENTS, []).append(int(number))
    assert len(sequence) == CLIENTS
    if kind != "enterprise":
        # What a restored base has lost comes again after what it has kept.
        assert all(found == sorted(found) for found in sequence.values()), "each client's in their order"
    told = suite.sql("accounting_bridge", "SELECT count(DISTINCT n) FROM exchange, unnest(orders) AS n "
                     f"WHERE base = '{system.base}' AND kind = '{system.kind}' AND n = ANY('{{{','.join(numbers)}}}')")
    assert told == [[str(COUNT)]], "each order's giving stands in the journal"
    said = suite.sql("accounting_bridge", "SELECT count(*), count(DISTINCT e.key) FROM event e JOIN order_out o ON e.key = o.id::text "
                     f"WHERE e.type = 'onec.order.sent.v1' AND o.base = '{system.base}'")
    assert said == [[str(COUNT), str(COUNT)]], "each is told once"

    system.pay(list(numbers), sums)
    paid = lambda: suite.sql("crm_core", f"""SELECT count(*) FROM sales_order o WHERE o.base = '{system.base}' AND (o.paid_flag OR o.total_minor = (
        SELECT sum(amount_minor) FROM document d WHERE d.order_id = o.id AND d.kind = 'payment' AND d.posted AND d.counts AND NOT d.cancelled))""")

    def all_paid():
        if system.driver == "enterprisedata":
            system.works()
        return paid() == [[str(COUNT)]]
    wait_for(all_paid, 180, "all to be paid")
    tells = suite.sql("crm_core", "SELECT count(*), count(DISTINCT d.order_id), sum(d.amount_minor) FROM document d JOIN sales_order o ON o.id = d.order_id "
                      f"WHERE o.base = '{system.base}' AND d.kind = 'payment'")
    if kind != "ut":
        assert tells == [[str(COUNT), str(COUNT), str(int(sum(sums.values()) * 100))]], "a payment each, to the kopeck"
    # A whole file of a site's that could not be read waits for a person: УНФ would not send it again by itself (reference 24).
    whole = "number IS NOT NULL" if system.driver == "commerceml" else "reason NOT LIKE '%восстановлена из копии%'"
    parked = suite.sql("accounting_bridge", f"SELECT number, reason FROM parked_document WHERE base = '{system.base}' AND settled_at IS NULL AND {whole}")
    assert parked == [], "nothing else is left aside"
