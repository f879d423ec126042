"""1C away: whether anybody but the queue for 1C feels it, and how what has waited drains."""
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

from suite import running
from systems import OData, odata, ours


def place(suite, system, deals, first, count):
    """Places orders from two hands, each with clients of its own; seconds of each."""
    token = suite.token()

    def one(number):
        line = {"sku": "A-1", "name": "Станок", "quantity": "1", "price": f"{number}.{number % 100:02d}"}
        begin = time.monotonic()
        suite.post("crm-core", f"/api/v1/deals/{deals[number % len(deals)]}/orders", token, {"currency": "RUB", "lines": [line]}, key=str(number), status=201)
        return time.monotonic() - begin
    with ThreadPoolExecutor(2) as hands:
        parts = hands.map(lambda hand: [one(number) for number in range(first, first + count) if number % 2 == hand], range(2))
        return [seconds for part in parts for seconds in part]


def sent(suite):
    return int(suite.sql("accounting_bridge", "SELECT count(*) FROM order_out WHERE state = 'sent'")[0][0])


def drained(suite, count, limit):
    begin = time.monotonic()
    while sent(suite) < count:
        assert time.monotonic() - begin < limit, f"{sent(suite)} of {count} after {limit} s"
        time.sleep(0.05)
    return time.monotonic() - begin


def measure(figure, percentile, quick):
    count = 200 if quick else 1000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        system = OData(folder, "ut11", odata.UT, 1)
        system.good("A-1")
        books = f'\n  - {{ code: one, name: "ООО", inn: "7707083893", kpp: "770701001", base: {system.base} }}', f"\nonec:\n  {system.settings}"
        with running(folder, books=books) as suite:
            token = suite.token()
            deals = []
            for number in range(10):
                lead = suite.lead(token, f"client-{number}")
                deals.append(suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {})["id"])
            place(suite, system, deals, 1, 50)
            drained(suite, 50, 120)
            works = place(suite, system, deals, 1001, count // 2)
            drained(suite, 50 + count // 2, 120)
            system.down()
            away = place(suite, system, deals, 5001, count)
            assert sent(suite) == 50 + count // 2, "1C was away"
            system.up()
            seconds = drained(suite, 50 + count // 2 + count, 600)
            works += place(suite, system, deals, 9001, count // 2)
            drained(suite, 50 + 2 * count, 120)
            for share, label in [(0.5, "p50"), (0.99, "p99")]:
                ratio = percentile(away, share) / percentile(works, share)
                figure(f"an order is taken by the CRM, {label}, 1C works", percentile(works, share) * 1000, "ms")
                figure(f"the same, {label}, 1C is away all the time / 1C works", ratio, "times", "< 1.2", ratio < 1.2)
            figure(f"{count} orders that waited reach 1C", count / seconds, "/s")
            made = sorted(system.orders().values(), key=lambda order: order["Number"])
            numbers = [int(ours(order)) for order in made]
            total = sum(Decimal(str(order["СуммаДокумента"])) for order in made)
            wanted = sum(Decimal(f"{n}.{n % 100:02d}") for first, n_ in [(1, 50), (1001, count // 2), (5001, count), (9001, count // 2)]
                         for n in range(first, first + n_))
            figure("documents in 1C / orders asked for", len(set(numbers)) / (50 + 2 * count), "times", "= 1",
                   len(set(numbers)) == len(numbers) == 50 + 2 * count and total == wanted)
            by_client = {}
            for order, number in zip(made, numbers):
                by_client.setdefault(order["Контрагент_Key"], []).append(number)
            in_order = all(list == sorted(list) for list in by_client.values())
            figure("each client's orders in their order", int(in_order), "", "= 1", in_order)
