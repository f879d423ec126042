"""Accounting systems as the bridge meets them, each with the same few things that a test asks of it: what orders it has, and to tell what has
become of them. They keep to the rules of their kind, and notice when we do not."""
import csv
import io
import json
import os
import sys
import uuid
from decimal import Decimal
from pathlib import Path

from suite import OneC

sys.path.append(str(Path(__file__).parents[2] / "deploy/demo-world/onec"))
import enterprise_data  # noqa: E402
import inquiries  # noqa: E402
import odata  # noqa: E402
import site_exchange  # noqa: E402

sys.path.append(str(Path(__file__).parents[2] / "deploy/demo-world"))
import shop  # noqa: E402


class System:
    """What a test may ask of any of them. `tells_strangers`: it may speak of orders that are not ours, or not its own."""

    tells_strangers, trouble = True, "валюта «фантик» неизвестна"
    tells_cost, tells_refunds, tells_marks, tells_returns = False, True, True, False

    def begin(self, suite):
        self.suite = suite

    def good(self, sku, name=None):
        """A card of a good is needed before it is ordered."""

    def onec_number(self, number):
        return f"НФ-{number}"

    def forget(self, number):
        """It is restored from a backup in which the order is not yet."""
        raise NotImplementedError

    def bear(self, key, number, total, client, payments=()):
        """An order is made in it by hand, or is another by now. The client: id, name and INN of his card."""
        raise NotImplementedError


class Taken:
    """An order as a system understood it."""

    def __init__(self, number, client, lines, total):
        self.number, self.client, self.total = number, client, Decimal(total)
        self.lines = [(sku, Decimal(quantity), Decimal(price)) for sku, quantity, price in lines]


class CommerceML(System):
    """УНФ with subordinate documents: it comes to us, with a session for each thing it does."""

    organization, base, driver = "unf", "unf", "commerceml"
    settings = '- { base: unf, driver: commerceml, login: exchange, password: "обмен", firstNumber: 1000 }'

    def __init__(self, folder):
        self.taken, self.known = {}, set()

    def begin(self, suite):
        self.suite, self.onec = suite, OneC(suite)

    def works(self):
        for _ in range(40):
            self.onec.open()
            found = self.onec.documents()
            for document in found:
                text = lambda path, of=document: of.findtext("/".join("{*}" + part for part in path.split("/")))
                lines = [(text("Артикул", line), text("Количество", line), text("ЦенаЗаЕдиницу", line))
                         for line in document.iterfind("{*}Товары/{*}Товар")]
                number = text("Номер")
                assert number not in self.taken or number in self.known, f"order {number} was given again in another session"
                self.taken[number] = Taken(number, text("Контрагенты/Контрагент/Наименование"), lines, text("Сумма"))
            if not found:
                return
            self.onec.call("success")

    def mark(self, number, total, **done):
        self.onec.open()
        self.onec.send(number, total, extra=[(f"Исполнено: {department}", str(is_done).lower()) for department, is_done in done.items()])

    def tell(self, number, total, payments=(), refunds=(), shipments=(), cancelled=False, posted=True, broken=False):
        self.onec.open()
        real = self.onec.call
        if broken:
            self.onec.call = lambda mode, body=None, **more: real(
                mode, body and body.replace("<Валюта>руб<".encode(), "<Валюта>фантик<".encode()), **more)
        extra = [("Отменен", "true")] if cancelled else []
        self.onec.send(number, total, payments=[(i, a, "true") for i, a in payments], shipments=[(i, a, "true") for i, a in shipments],
                       extra=extra + ([] if posted else [("Проведен", "false")]), refunds=[(i, a, "true") for i, a in refunds])
        self.onec.call = real

    def bear(self, *order, **what):
        self.onec.open()
        answer = self.onec.call("file", OneC.made_there(*order, **what), filename=f"own-{uuid.uuid4()}.xml")
        assert answer.text.startswith("success"), answer.text

    def forget(self, number):
        """What it has and gets again it knows by its number."""
        del self.taken[number]
        self.known = set(self.taken)


class Folder(System):
    """A program that keeps its books in its own way and exchanges files. What it takes it moves to `orders/taken`."""

    driver, tells_cost = "folder", True

    def __init__(self, folder, format="json"):
        self.format, self.organization, self.base = format, f"folder-{format}", f"folder-{format}"
        self.folder = folder / f"exchange-{format}"
        self.folder.mkdir(mode=0o777)
        os.chmod(self.folder, 0o777)
        self.settings = f'- {{ base: {self.base}, driver: folder, folder: "{self.folder}", format: {format}, firstNumber: {2000 if format == "json" else 3000}, readSeconds: 1, settleSeconds: 2 }}'
        self.taken, self.keys, self.reports = {}, set(), 0

    def works(self):
        for file in sorted((self.folder / "orders").glob("order-*")):
            order = self.read(file)
            key = order["key"]
            assert key not in self.keys, f"order {order['number']} was given again"
            self.keys.add(key)
            self.taken[order["number"]] = Taken(
                order["number"], order["client"], [(line["sku"], line["quantity"], line["price"]) for line in order["lines"]], order["total"])
            file.rename(file.parent / "taken" / file.name)

    def read(self, file):
        if self.format == "json":
            order = json.loads(file.read_text())
            return {**order, "client": order["counterparty"]["name"]}
        rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline=""), delimiter=";"))
        return {**rows[0], "lines": rows}

    def mark(self, number, total, **done):
        if self.format == "json":
            self.put(json.dumps({"orders": [{"number": number, "total": total, "currency": "RUB", "marks": [
                {"department": department, "done": is_done, "by": "Анна Котова"} for department, is_done in done.items()]}]}))
        else:
            self.put(f"Заказ;Запись;Сумма;Отдел;Исполнено\r\n{number};Заказ;{total};;\r\n"
                     + "".join(f"{number};Отметка;;{department};{'да' if is_done else 'нет'}\r\n" for department, is_done in done.items()))

    def bear(self, key, number, total, client, payments=()):
        card, name, inn = client
        if self.format == "json":
            self.put(json.dumps({"orders": [{
                "number": number, "id": key, "date": "2026-11-19", "total": total, "client": {"id": card, "name": name, "inn": inn},
                "documents": [{"kind": "payment", "id": i, "amount": a, "date": "2026-11-20"} for i, a in payments]}]}))
        else:
            self.put(f"Заказ;Запись;Ид;Дата;Сумма;Код клиента;Клиент;ИНН\r\n{number};Заказ;{key};19.11.2026;{total};{card};{name};{inn}\r\n"
                     + "".join(f"{number};Оплата;{i};20.11.2026;{a};;;\r\n" for i, a in payments))

    def refuse(self, number, reason):
        if self.format == "json":
            self.put(json.dumps({"orders": [{"number": number, "refused": reason}]}))
        else:
            self.put(f"order,record,reason\r\n{number},refused,{reason}\r\n")

    def tell(self, number, total, payments=(), refunds=(), shipments=(), cancelled=False, posted=True, broken=False, returns=(), cost=None):
        documents = [(kind, id, amount) for kind, list in [("payment", payments), ("refund", refunds), ("shipment", shipments), ("return", returns)]
                     for id, amount in list]
        if self.format == "json":
            self.put(json.dumps({"orders": [{
                "number": number, "id": f"guid-{number}", "systemNumber": f"НФ-{number}", "total": total, "currency": "фантик" if broken else "руб",
                "posted": posted, "cancelled": cancelled, "cost": cost,
                "documents": [{"kind": kind, "id": id, "number": id, "date": "2026-11-20", "amount": amount} for kind, id, amount in documents]}]}))
        else:
            words = {"payment": "Оплата", "refund": "Возврат денег", "shipment": "Отгрузка", "return": "Возврат товара"}
            rows = [["Заказ", "Запись", "Ид", "Номер", "Дата", "Сумма", "Валюта", "Проведен", "Отменен", "Себестоимость"],
                    [number, "Заказ", f"guid-{number}", f"НФ-{number}", "", total.replace(".", ","), "фантик" if broken else "руб",
                     "да" if posted else "нет", "да" if cancelled else "", (cost or "").replace(".", ",")]]
            rows += [[number, words[kind], id, id, "20.11.2026", amount.replace(".", ","), "", "да", "", ""] for kind, id, amount in documents]
            out = io.StringIO(newline="")
            csv.writer(out, delimiter=";").writerows(rows)
            self.put(out.getvalue().encode("cp1251"))

    def put(self, content, name=None):
        """A report, whole or not at all."""
        self.reports += 1
        name = name or f"report-{self.reports}.{self.format}"
        folder = self.folder / "reports"
        draft = folder / f"{name}.part"
        draft.write_bytes(content if isinstance(content, bytes) else content.encode())
        draft.rename(folder / name)

    def down(self):
        self.folder.rename(self.folder.with_name(self.folder.name + "-away"))

    def up(self):
        self.folder.with_name(self.folder.name + "-away").rename(self.folder)


def ours(order):
    """Our number of an order, as it stands in the field for the client's."""
    return order["НомерПоДаннымКлиента"].removeprefix("TL-")


class OData(System):
    """1C behind its OData interface. We go to it: it does nothing by itself."""

    driver, tells_strangers, trouble = "odata", False, "сумма заказа (СуммаДокумента) не читается"
    # Which field is whose mark a company says in a mapping of its own.
    tells_marks = False

    def __init__(self, folder, mapping, configuration, first, **more):
        self.mapping, self.organization, self.base = mapping, f"odata-{mapping}", f"odata-{mapping}"
        self.onec = odata.Base(configuration)
        self.server = odata.Server(self.onec)
        settings = {"readSeconds": 1, "settleSeconds": 3, "timeoutSeconds": 5, "ratePerMinute": 60000, "ownOrdersSince": "2026-01-01", **more}
        self.settings = (f'- {{ base: {self.base}, driver: odata, url: "{self.server.url}", login: "Обмен", password: "пароль", mapping: {mapping}, '
                         f'firstNumber: {first}, ' + ", ".join(f"{k}: {v}" for k, v in settings.items()) + " }")
        self.onec.add("Catalog_Организации", ИНН="7707083893", Description="ООО Станкоторг")
        self.names = configuration
        self.tells_cost, self.tells_refunds, self.tells_returns = ("costs" in configuration, "refunds" in configuration, "returns" in configuration)
        self.documents = {}

    def good(self, sku, name=None):
        """1C knows goods before they are sold."""
        with self.onec.lock:
            if not any(g.get("Артикул") == sku for g in self.onec.sets["Catalog_Номенклатура"].values()):
                self.onec.add("Catalog_Номенклатура", Артикул=sku, Description=name or sku)

    def orders(self):
        return self.onec.sets[self.names["orders"]]

    @property
    def taken(self):
        """By our number, which the comment of a document says."""
        with self.onec.lock:
            found = {}
            for order in sorted(self.orders().values(), key=lambda o: o["Number"]):
                if not order["Комментарий"]:
                    # It was made there.
                    continue
                number = order["Комментарий"].split("\n")[0].removeprefix("Throughline № ").removesuffix(".")
                assert number not in found, f"order {number} was made twice"
                goods, clients = self.onec.sets["Catalog_Номенклатура"], self.onec.sets["Catalog_Контрагенты"]
                lines = [(goods[line[self.names["good"]]]["Артикул"], str(line["Количество"]), str(line["Цена"])) for line in order[self.names["lines"]]]
                found[number] = Taken(number, clients[order["Контрагент_Key"]]["НаименованиеПолное"], lines, str(order["СуммаДокумента"]))
            return found

    def works(self):
        pass

    def key(self, number):
        return next((key for key, order in self.orders().items() if order["Комментарий"].startswith(f"Throughline № {number}.")), None)

    def onec_number(self, number):
        return self.orders()[self.key(number)]["Number"]

    def tell(self, number, total, payments=(), refunds=(), shipments=(), cancelled=False, posted=True, broken=False, returns=(), cost=None):
        """A return stands in the register of sales with a minus."""
        names = self.names
        with self.onec.lock:
            key = self.key(number)
            if cost is not None and returns:
                self.sell(key, -Decimal(returns[0][1]), Decimal("-2.50"))
            elif cost is not None:
                self.sell(key, total, cost)
            order = self.orders()[key]
            order.update(СуммаДокумента="сто рублей" if broken else Decimal(total), Posted=posted, DeletionMark=cancelled)
            self.onec.changed(names["orders"], key)
            for kind, list in [("payments", payments), ("refunds", refunds), ("shipments", shipments), ("returns", returns)]:
                for id, amount in list if kind in names else []:
                    name = f"{number}-{id}"
                    link = self.link(names["shipped"], key) if kind == "shipments" else self.returned(number) if kind == "returns" else self.money(kind, key)
                    own = {"Number": id, "Date": "2026-11-20T10:00:00", "Posted": True}
                    if kind in ("shipments", "returns"):
                        own.update(СуммаДокумента=Decimal(amount), **link)
                    else:
                        # In two rows: what they give to one order is one sum.
                        parts = [Decimal(amount) - 1, Decimal(1)]
                        own["РасшифровкаПлатежа"] = [{"LineNumber": str(i + 1), names["amount"]: part, **link} for i, part in enumerate(parts)]
                    if name not in self.documents:
                        self.documents[name] = self.onec.add(names[kind], **own)

    def link(self, field, key, entity=None):
        """How a field names something: with its kind, where it may name things of several."""
        return {field: key} if field.endswith("_Key") else {field: key, f"{field}_Type": f"StandardODATA.{entity or self.names['orders']}"}

    def money(self, kind, order):
        field = "Заказ" if kind == "refunds" and self.names["order"] != "ОбъектРасчетов_Key" else self.names["order"]
        return {field: self.onec.settlement(order)} if field == "ОбъектРасчетов_Key" else self.link(field, order)

    def returned(self, number):
        """A return names what was shipped, or the order."""
        if "returned" not in self.names:
            return {"ВидОперации": "ВозвратОтПокупателя", **self.link(self.names["shipped"], self.key(number))}
        shipment = next(key for name, key in self.documents.items() if name.startswith(f"{number}-") and key in self.onec.sets[self.names["shipments"]])
        return self.link(self.names["returned"], shipment, self.names["shipments"])

    def look(self):
        """It is looked for orders that were made in it by itself every few minutes, and when a person asks."""
        self.suite.post("accounting-bridge", f"/api/v1/bases/{self.base}/read-again", self.suite.token(), {})

    def bear(self, key, number, total, client, payments=(), asks=True):
        card, name, inn = client
        names = self.names
        currency = next(field for field in self.onec.schema[names["orders"]] if field.startswith("Валюта"))
        with self.onec.lock:
            if card not in self.onec.sets["Catalog_Контрагенты"]:
                self.onec.add("Catalog_Контрагенты", Ref_Key=card, Description=name, НаименованиеПолное=name, ИНН=inn, КПП="")
            fields = {"Контрагент_Key": card, "СуммаДокумента": Decimal(total), currency: next(iter(self.onec.sets["Catalog_Валюты"])),
                      "Организация_Key": next(iter(self.onec.sets["Catalog_Организации"]))}
            if key in self.orders():
                self.orders()[key].update(fields)
                self.onec.changed(names["orders"], key)
            else:
                self.onec.add(names["orders"], Ref_Key=key, Number=number, Date="2026-11-19T10:00:00", Posted=True, Комментарий="", **fields)
        self.pay(key, number, payments)
        if asks:
            self.look()

    def pay(self, key, number, payments):
        names = self.names
        for id, amount in payments:
            link = self.money("payments", key)
            own = {"Number": id, "Date": "2026-11-20T10:00:00", "Posted": True}
            table = next(name.removeprefix(names["payments"] + "_") for name in self.onec.schema if name.startswith(names["payments"] + "_"))
            with self.onec.lock:
                if f"{number}-{id}" not in self.documents:
                    self.documents[f"{number}-{id}"] = self.onec.add(
                        names["payments"], **own, **{table: [{"LineNumber": "1", names["amount"]: Decimal(amount), **link}]})

    def forget(self, number):
        with self.onec.lock:
            del self.orders()[self.key(number)]

    def sell(self, key, revenue, cost):
        """A record in the register of sales, beside one that is not active any more."""
        names = self.names
        link = {names["cost order"]: key}
        if not names["cost order"].endswith("_Key"):
            link[f"{names['cost order']}_Type"] = f"StandardODATA.{names['orders']}"
        for active, times in [(True, 1), (False, 100)]:
            self.onec.add(names["costs"], Recorder=str(uuid.uuid4()), LineNumber="1", Active=active,
                          **{names["cost"]: Decimal(cost) * times, names["revenue"]: Decimal(revenue) * times}, **link)

    def refuse(self, number, reason):
        raise NotImplementedError

    def down(self):
        self.server.fault = "down"

    def up(self):
        self.server.fault = None


class EnterpriseData(System):
    """1C behind a folder of EnterpriseData messages: an exchange of states, which it runs when it likes."""

    driver, tells_strangers, trouble = "enterprisedata", False, "(Сумма) не читается"

    def mark(self, number, total, **done):
        with self.node.lock:
            key = self.key(number)
            self.node.base.orders[key]["attributes"] = {f"Исполнено: {department}": str(is_done).lower() for department, is_done in done.items()}
            self.node.register(key)
            self.node.run()

    organization = base = "enterprise"

    def __init__(self, folder, first=6000):
        self.folder = folder / "enterprise"
        self.folder.mkdir(mode=0o777)
        os.chmod(self.folder, 0o777)
        self.node = enterprise_data.Node(self.folder)
        self.node.run()
        self.settings = (f'- {{ base: {self.base}, driver: enterprisedata, folder: "{self.folder}", node: TL, peer: УТ, firstNumber: {first}, '
                         "readSeconds: 1, settleSeconds: 2, ratePerMinute: 60000 }")
        self.documents = {}

    def works(self):
        self.node.run()

    @property
    def taken(self):
        with self.node.lock:
            assert len(self.node.taken) == len(set(self.node.taken)), "an order was made twice"
            clients = self.node.base.clients
            return {o["number"]: Taken(o["number"], clients[o["client"]]["name"], [line[:3] for line in o["lines"]], o["total"])
                    for o in sorted(self.node.base.orders.values(), key=lambda o: o["onec"]) if o["number"]}

    def key(self, number):
        return next(key for key, order in self.node.base.orders.items() if order["number"] == number)

    def onec_number(self, number):
        return self.node.base.orders[self.key(number)]["onec"]

    def tell(self, number, total, payments=(), refunds=(), shipments=(), cancelled=False, posted=True, broken=False):
        node = self.node
        with node.lock:
            key = self.key(number)
            order = node.base.orders[key]
            before = dict(order)
            order.update(total="сто рублей" if broken else Decimal(total), deleted=cancelled, posted=posted)
            if order != before:
                node.register(key)
            for kind, list in [("ПБДСРасчетыСКонтрагентами", payments), ("РБДСРасчетыСКонтрагентами", refunds), ("РеализацияТоваровУслуг", shipments)]:
                for id, amount in list:
                    own = self.documents.setdefault(f"{number}-{id}", str(uuid.uuid4()))
                    node.document(own, kind, id, amount, {key: amount})
            node.run()

    def bear(self, key, number, total, client, payments=()):
        card, name, inn = client
        node = self.node
        with node.lock:
            node.base.clients.setdefault(card, {"name": name, "inn": inn, "kpp": ""})
            node.base.orders[key] = {"onec": number, "number": None, "client": card, "total": total, "lines": [], "deleted": False,
                                     "posted": True, "comment": ""}
            node.register(key)
            for id, amount in payments:
                own = self.documents.setdefault(f"{number}-{id}", str(uuid.uuid4()))
                node.document(own, "ПБДСРасчетыСКонтрагентами", id, amount, {key: amount})
            node.run()

    def forget(self, number):
        with self.node.lock:
            del self.node.base.orders[self.key(number)]
            self.node.taken.remove(number)

    def down(self):
        self.folder.rename(self.folder.with_name(self.folder.name + "-away"))

    def up(self):
        self.folder.with_name(self.folder.name + "-away").rename(self.folder)
