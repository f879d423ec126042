"""A 1C base behind the standard OData interface, as strict as the platform's own description of it, with faults that can be switched.

Every rule has its fact in the platform's chapter 17.4 or in the notes of those who live with it: keys that may be given by whoever creates, unknown
properties that are ignored, an error's number, a licence per session, a refusal by the business as 500 with the code -1, an HTML page with the
status 200, sums as JSON numbers, dates without a zone. Not a copy of any configuration: a few kinds of objects with УТ 11's or УНФ's names."""
import base64
import json
import re
import threading
import time
import uuid
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

EMPTY = "00000000-0000-0000-0000-000000000000"
STANDARD = ["Ref_Key", "DataVersion", "DeletionMark"]
# What the library that the configurations are built upon brings along: users, and versions of objects, kept of the kinds that an administrator names.
VERSIONS = "InformationRegister_ВерсииОбъектов"
LIBRARY = {"Catalog_Пользователи": STANDARD + ["Description"],
           VERSIONS: ["Объект", "Объект_Type", "НомерВерсии", "ДатаВерсии", "АвторВерсии", "АвторВерсии_Type", "ТипВерсииОбъекта", "Комментарий"]}
CATALOG, DOCUMENT = STANDARD + ["Code", "Description"], STANDARD + ["Number", "Date", "Posted"]

# УТ 11.4, whose payments name the order itself and whose rows say the rate of VAT as a value.
# Documents of УТ that are told apart by what is done with them.
BY_OPERATION = ["Document_РасходныйКассовыйОрдер", "Document_ОперацияПоПлатежнойКарте"]
UT114 = {
    "orders": "Document_ЗаказКлиента", "lines": "Товары", "payments": "Document_ПоступлениеБезналичныхДенежныхСредств",
    "refunds": "Document_СписаниеБезналичныхДенежныхСредств", "shipments": "Document_РеализацияТоваровУслуг",
    "returns": "Document_ВозвратТоваровОтКлиента",
    "amount": "Сумма", "order": "Заказ", "shipped": "ЗаказКлиента", "returned": "ДокументРеализации", "good": "Номенклатура_Key",
    "costs": "AccumulationRegister_ВыручкаИСебестоимостьПродаж_RecordType", "cost": "Стоимость", "revenue": "СуммаВыручки", "cost order": "ЗаказКлиента",
    "constants": {"Статус": "НеСогласован", "ХозяйственнаяОперация": "РеализацияКлиенту", "ЦенаВключаетНДС": True, "СкидкиРассчитаны": True},
    "total": "СуммаСНДС",
    "schema": {
        "Document_ЗаказКлиента": DOCUMENT + ["Партнер_Key", "Контрагент_Key", "Организация_Key", "Валюта_Key", "СуммаДокумента", "Комментарий",
                                             "НомерПоДаннымКлиента", "Статус", "ХозяйственнаяОперация", "НалогообложениеНДС", "ЦенаВключаетНДС",
                                             "СкидкиРассчитаны", "Товары"],
        "Document_ЗаказКлиента_Товары": ["Ref_Key", "LineNumber", "Номенклатура_Key", "КоличествоУпаковок", "Количество", "Цена", "Сумма", "СтавкаНДС",
                                         "СуммаНДС", "СуммаСНДС", "СуммаРучнойСкидки"],
        # Its counterparties stand in no groups and have no codes.
        "Catalog_Контрагенты": STANDARD + ["Description", "Партнер_Key", "НаименованиеПолное", "ИНН", "КПП", "ЮрФизЛицо"],
        "Catalog_Партнеры": CATALOG + ["НаименованиеПолное", "ЮрФизЛицо", "Клиент"],
        "Catalog_Номенклатура": CATALOG + ["IsFolder", "Артикул"], "Catalog_Организации": CATALOG + ["ИНН"], "Catalog_Валюты": CATALOG,
        "InformationRegister_ШтрихкодыНоменклатуры": ["Штрихкод", "Номенклатура_Key"],
        "Document_СчетНаОплатуКлиенту": DOCUMENT + ["ДокументОснование", "СуммаДокумента"],
        "Document_ПоступлениеБезналичныхДенежныхСредств": DOCUMENT + ["Валюта_Key", "НомерВходящегоДокумента", "РасшифровкаПлатежа"],
        "Document_ПоступлениеБезналичныхДенежныхСредств_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "Заказ", "Сумма"],
        "Document_ПриходныйКассовыйОрдер": DOCUMENT + ["Валюта_Key", "РасшифровкаПлатежа"],
        "Document_ПриходныйКассовыйОрдер_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "Заказ", "Сумма"],
        "Document_СписаниеБезналичныхДенежныхСредств": DOCUMENT + ["Валюта_Key", "РасшифровкаПлатежа"],
        "Document_СписаниеБезналичныхДенежныхСредств_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "Заказ", "Сумма"],
        **{name: DOCUMENT + ["ХозяйственнаяОперация", "Валюта_Key", "РасшифровкаПлатежа"] for name in BY_OPERATION},
        **{f"{name}_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "Заказ", "Сумма"] for name in BY_OPERATION},
        # Shipped for several orders, the document names none itself, and its rows do.
        "Document_РеализацияТоваровУслуг": DOCUMENT + ["ЗаказКлиента", "СуммаДокумента", "Товары"],
        "Document_РеализацияТоваровУслуг_Товары": ["Ref_Key", "LineNumber", "ЗаказКлиента", "СуммаСНДС"],
        "Document_ВозвратТоваровОтКлиента": DOCUMENT + ["ДокументРеализации", "СуммаДокумента"],
        "AccumulationRegister_ВыручкаИСебестоимостьПродаж_RecordType": ["Recorder", "LineNumber", "Active", "ЗаказКлиента", "Стоимость", "СуммаВыручки"],
        **LIBRARY,
    },
}
# УТ 11.5, whose payments name objects of settlements, and whose rates of VAT are a catalog.
SETTLEMENTS, RATES = "Catalog_ОбъектыРасчетов", "Catalog_СтавкиНДС"
UT = {**UT114, "order": "ОбъектРасчетов_Key", "schema": {
    **UT114["schema"],
    **{f"Document_{name}_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "ОбъектРасчетов_Key", "Сумма"]
       for name in ("ПоступлениеБезналичныхДенежныхСредств", "ПриходныйКассовыйОрдер", "СписаниеБезналичныхДенежныхСредств",
                    "РасходныйКассовыйОрдер", "ОперацияПоПлатежнойКарте")},
    "Document_ЗаказКлиента_Товары": ["СтавкаНДС_Key" if name == "СтавкаНДС" else name for name in UT114["schema"]["Document_ЗаказКлиента_Товары"]],
    SETTLEMENTS: STANDARD + ["Description", "Объект"], RATES: STANDARD + ["Description", "ПеречислениеСтавкаНДС"],
}}
UNF = {
    "orders": "Document_ЗаказПокупателя", "lines": "Запасы", "payments": "Document_ПоступлениеНаСчет", "refunds": "Document_РасходСоСчета",
    "shipments": "Document_РасходнаяНакладная", "returns": "Document_ПриходнаяНакладная", "amount": "СуммаПлатежа", "order": "Заказ", "shipped": "Заказ", "good": "Номенклатура",
    "costs": "AccumulationRegister_Продажи_RecordType", "cost": "Себестоимость", "revenue": "Сумма", "cost order": "ЗаказПокупателя_Key",
    "constants": {"ВидОперации": "ЗаказНаПродажу", "СуммаВключаетНДС": True, "Курс": 1, "Кратность": 1}, "total": "Всего",
    "schema": {
        "Document_ЗаказПокупателя": DOCUMENT + ["Контрагент_Key", "Организация_Key", "ВалютаДокумента_Key", "СуммаДокумента", "Комментарий",
                                          "ВидОперации", "СуммаВключаетНДС", "Курс", "Кратность", "Запасы"],
        "Document_ЗаказПокупателя_Запасы": ["Ref_Key", "LineNumber", "Номенклатура", "Номенклатура_Type", "Количество", "Цена", "Сумма", "Всего"],
        "Catalog_Контрагенты": CATALOG + ["IsFolder", "НаименованиеПолное", "ИНН", "КПП", "ВидКонтрагента"],
        "Catalog_Номенклатура": CATALOG + ["IsFolder", "Артикул"], "Catalog_Организации": CATALOG + ["ИНН"], "Catalog_Валюты": CATALOG,
        "Document_СчетНаОплату": DOCUMENT + ["ДокументОснование", "СуммаДокумента"],
        "Document_ПоступлениеНаСчет": DOCUMENT + ["ВалютаДенежныхСредств_Key", "НомерВходящегоДокумента", "РасшифровкаПлатежа"],
        "Document_ПоступлениеНаСчет_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "Заказ", "СуммаПлатежа"],
        "Document_ПоступлениеВКассу": DOCUMENT + ["ВалютаДенежныхСредств_Key", "РасшифровкаПлатежа"],
        "Document_ПоступлениеВКассу_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "Заказ", "СуммаПлатежа"],
        "Document_РасходСоСчета": DOCUMENT + ["ВалютаДенежныхСредств_Key", "РасшифровкаПлатежа"],
        "Document_РасходСоСчета_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "Заказ", "СуммаПлатежа"],
        "Document_РасходИзКассы": DOCUMENT + ["ВалютаДенежныхСредств_Key", "РасшифровкаПлатежа"],
        "Document_РасходИзКассы_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "Заказ", "СуммаПлатежа"],
        "Document_АктВыполненныхРабот": DOCUMENT + ["ЗаказПокупателя_Key", "СуммаДокумента"],
        "Document_ОперацияПоПлатежнымКартам": DOCUMENT + ["ВидОперации", "ВалютаДенежныхСредств_Key", "РасшифровкаПлатежа"],
        "Document_ОперацияПоПлатежнымКартам_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "Заказ", "СуммаПлатежа"],
        # What comes in, from suppliers and back from buyers.
        "Document_ПриходнаяНакладная": DOCUMENT + ["ВидОперации", "Заказ", "СуммаДокумента"],
        "Document_РасходнаяНакладная": DOCUMENT + ["Заказ", "СуммаДокумента"],
        "AccumulationRegister_Продажи_RecordType": ["Recorder", "LineNumber", "Active", "ЗаказПокупателя_Key", "Себестоимость", "Сумма"],
        **LIBRARY,
    },
}
BP = {
    "orders": "Document_СчетНаОплатуПокупателю", "lines": "Товары", "payments": "Document_ПоступлениеНаРасчетныйСчет",
    "shipments": "Document_РеализацияТоваровУслуг", "amount": "СуммаПлатежа", "order": "СчетНаОплату_Key",
    "shipped": "СчетНаОплатуПокупателю_Key", "good": "Номенклатура",
    "constants": {"ВидОперации": "ТоварыИУслуги", "СуммаВключаетНДС": True, "КурсВзаиморасчетов": 1, "КратностьВзаиморасчетов": 1},
    "organizations": ["Организация_Key", "ОрганизацияПолучатель_Key"],
    "schema": {
        "Document_СчетНаОплатуПокупателю": DOCUMENT + ["Контрагент_Key", "Организация_Key", "ВалютаДокумента_Key", "СуммаДокумента", "Комментарий",
                                                       "ОрганизацияПолучатель_Key", "ВидОперации", "СуммаВключаетНДС", "КурсВзаиморасчетов",
                                                       "КратностьВзаиморасчетов", "Товары"],
        "Document_СчетНаОплатуПокупателю_Товары": ["Ref_Key", "LineNumber", "Номенклатура", "Номенклатура_Type", "Количество", "Цена", "Сумма",
                                                   "СуммаСкидки", "СтавкаНДС", "СуммаНДС"],
        "InformationRegister_ШтрихкодыНоменклатуры": ["Штрихкод", "Номенклатура_Key"],
        "Catalog_Контрагенты": CATALOG + ["IsFolder", "НаименованиеПолное", "ИНН", "КПП", "ЮридическоеФизическоеЛицо"],
        "Catalog_Номенклатура": CATALOG + ["IsFolder", "Артикул"], "Catalog_Организации": CATALOG + ["ИНН"], "Catalog_Валюты": CATALOG,
        "Document_ПоступлениеНаРасчетныйСчет": DOCUMENT + ["ВалютаДокумента_Key", "НомерВходящегоДокумента", "РасшифровкаПлатежа"],
        "Document_ПоступлениеНаРасчетныйСчет_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "СчетНаОплату_Key", "СуммаПлатежа"],
        "Document_ПриходныйКассовыйОрдер": DOCUMENT + ["ВалютаДокумента_Key", "РасшифровкаПлатежа"],
        "Document_ПриходныйКассовыйОрдер_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "СчетНаОплату_Key", "СуммаПлатежа"],
        "Document_ОплатаПлатежнойКартой": DOCUMENT + ["ВалютаДокумента_Key", "НомерВходящегоДокумента", "РасшифровкаПлатежа"],
        "Document_ОплатаПлатежнойКартой_РасшифровкаПлатежа": ["Ref_Key", "LineNumber", "СчетНаОплату_Key", "СуммаПлатежа"],
        "Document_РеализацияТоваровУслуг": DOCUMENT + ["ВалютаДокумента_Key", "СчетНаОплатуПокупателю_Key", "СуммаДокумента"],
    },
}


class Refused(Exception):
    """An error of 1C's, with its HTTP status and its own number."""

    def __init__(self, status, code, text):
        self.status, self.code, self.text = status, code, text


class Filter:
    """The part of $filter that we use: eq, and, or, parentheses, any, cast, literals, ge and lt for dates, and gt for keys, where the base compares
    them."""

    compares_keys = True

    TOKEN = re.compile(r"\s*(guid'[^']*'|datetime'[^']*'|'(?:[^']|'')*'|[\w/.]+|[(),:])", re.UNICODE)

    def __init__(self, text, fields, tables):
        self.tokens, place = [], 0
        while place < len(text.rstrip()):
            match = self.TOKEN.match(text, place)
            if not match:
                raise Refused(400, "14", f"Ошибка разбора опций запроса: {text[place:place + 20]}")
            self.tokens.append(match[1])
            place = match.end()
        self.fields, self.tables, self.scope = fields, tables, None
        self.test = self.either()
        if self.tokens:
            raise Refused(400, "14", f"Ошибка разбора опций запроса: лишнее {self.tokens[0]}")

    def take(self, wanted=None):
        if not self.tokens or (wanted and self.tokens[0] != wanted):
            raise Refused(400, "14", f"Ошибка разбора опций запроса: ожидается {wanted}")
        return self.tokens.pop(0)

    def either(self):
        tests = [self.both()]
        while self.tokens[:1] == ["or"]:
            self.take()
            tests.append(self.both())
        return lambda row: any(test(row) for test in tests)

    def both(self):
        tests = [self.one()]
        while self.tokens[:1] == ["and"]:
            self.take()
            tests.append(self.one())
        return lambda row: all(test(row) for test in tests)

    def one(self):
        if self.tokens[:1] == ["("]:
            self.take()
            test = self.either()
            self.take(")")
            return test
        name = self.take()
        if name == "startswith":
            return self.starts()
        if self.tokens[:1] == ["("] and name.endswith("/any"):
            return self.any(name[:-4])
        if self.scope:
            variable, table = self.scope
            if not name.startswith(variable + "/"):
                raise Refused(400, "14", f"Ошибка разбора опций запроса: {name}")
            name = name[len(variable) + 1:]
            known = self.tables[table]
        else:
            known = self.fields
        if name not in known:
            raise Refused(400, "10", f"Запрошенное свойство не найдено: {name}")
        compared = self.take()
        wanted, kind = self.literal()
        if compared == "gt" and name == "Ref_Key" and Filter.compares_keys:
            return lambda row: row[name] > wanted
        if compared in ("ge", "lt") and name in ("Date", "ДатаВерсии"):
            return lambda row: (row[name] >= wanted) == (compared == "ge")
        if compared != "eq":
            raise Refused(400, "14", f"Ошибка разбора опций запроса: {compared}")
        # A field that may hold anything is compared with its kind, or it equals nothing.
        return lambda row: row.get(name) == wanted and (name + "_Type" not in row or kind == row[name + "_Type"].split(".")[-1])

    def starts(self):
        self.take("(")
        name = self.take()
        if name not in self.fields:
            raise Refused(400, "10", f"Запрошенное свойство не найдено: {name}")
        self.take(",")
        wanted, _ = self.literal()
        self.take(")")
        if self.tokens[:2] == ["eq", "true"]:
            self.take(), self.take()
        return lambda row: (row.get(name) or "").startswith(wanted)

    def any(self, table):
        if table not in self.tables:
            raise Refused(400, "10", f"Запрошенное свойство не найдено: {table}")
        self.take("(")
        variable = self.take()
        self.take(":")
        self.scope = (variable, table)
        test = self.either()
        self.scope = None
        self.take(")")
        return lambda row: any(test(line) for line in row.get(table, []))

    def literal(self):
        token = self.take()
        if token == "cast":
            self.take("(")
            value, _ = self.literal()
            self.take(",")
            kind = self.take().strip("'")
            self.take(")")
            return value, kind
        if token.startswith("guid'"):
            return token[5:-1], None
        if token.startswith("datetime'"):
            return token[9:-1], None
        if token.startswith("'"):
            return token[1:-1].replace("''", "'"), None
        if token in ("true", "false"):
            return token == "true", None
        return Decimal(token), None


class Base:
    """The base itself, without HTTP."""

    def __init__(self, configuration):
        self.names, self.schema = configuration, {name: list(fields) for name, fields in configuration["schema"].items()}
        self.sets = {name: {} for name in self.schema}
        self.lock = threading.RLock()
        self.number = 0
        self.closed_until = "0000-00-00"
        # Kinds of objects that our user has no right to.
        self.forbidden = set()
        # Keys given by whoever creates are taken, or the base gives its own.
        self.takes_keys = True
        # Kinds of objects of which versions are kept, and who works in the base: a user, or an exchange.
        self.versioned, self.user, self.users = set(), None, "Catalog_Пользователи"
        # Nodes of exchange plans: by each, the keys of changed objects and the message that they first went in.
        self.plans = {}
        self.add("Catalog_Валюты", Code="643", Description="RUB")
        for rate in ("НДС22", "НДС20", "НДС10", "НДС0", "БезНДС") if RATES in self.sets else ():
            self.add(RATES, Description=rate, ПеречислениеСтавкаНДС=rate)

    def add(self, entity, **fields):
        key = fields.pop("Ref_Key", None) or str(uuid.uuid4())
        if entity == "Catalog_Контрагенты" and "Catalog_Партнеры" in self.sets and not fields.get("Партнер_Key"):
            # Whoever enters a counterparty there enters his partner first.
            fields["Партнер_Key"] = self.add("Catalog_Партнеры", Description=fields.get("Description"))
        standard = {"DataVersion": "1", "DeletionMark": False, **({"IsFolder": False} if "IsFolder" in self.schema[entity] else {})}
        self.sets[entity][key] = {"Ref_Key": key, **standard, **fields}
        self.changed(entity, key)
        return key

    def changed(self, entity, key):
        if entity in self.versioned:
            self.version(entity, key)
        for changes in self.plans.values():
            changes[entity, key] = None

    def version(self, entity, key, kind="ИзмененоПользователем"):
        """The next version of an object, by the user who works in the base."""
        number = 1 + sum(row["Объект"] == key for row in self.sets[VERSIONS].values())
        author = {"АвторВерсии": self.user or EMPTY, "АвторВерсии_Type": "StandardODATA." + (self.users if self.user else "Undefined")}
        self.add(VERSIONS, Объект=key, Объект_Type=f"StandardODATA.{entity}", НомерВерсии=number, ДатаВерсии=time.strftime("%Y-%m-%dT%H:%M:%S"),
                 ТипВерсииОбъекта=kind, Комментарий="", **author)

    def settlement(self, order):
        """The object that an order's money is settled by; 1C makes it with the order."""
        found = next((key for key, row in self.sets[SETTLEMENTS].items() if row["Объект"] == order), None)
        return found or self.add(SETTLEMENTS, Description="", Объект=order, Объект_Type=f"StandardODATA.{self.names['orders']}")

    def feed(self, node, message):
        """What is registered for a node: the objects, and what stands for those that are gone."""
        if node not in self.plans:
            raise Refused(404, "9", "Экземпляр сущности не найден по переданному ключу")
        value = []
        for (entity, key), sent in self.plans[node].items():
            self.plans[node][entity, key] = sent or message
            row = self.sets[entity].get(key)
            value.append({"odata.type": f"StandardODATA.{entity}", **row} if row else {"odata.deleted": f"{entity}(guid'{key}')"})
        return {"value": value}

    def received(self, node, message):
        self.plans[node] = {key: sent for key, sent in self.plans[node].items() if sent is None or sent > message}

    def tables(self, entity):
        return {name: self.schema[f"{entity}_{name}"] for name in self.schema[entity] if f"{entity}_{name}" in self.schema}

    def find(self, entity, query):
        if entity not in self.sets:
            raise Refused(404, "8", f"Тип сущности не найден: {entity}")
        if entity in self.forbidden:
            raise Refused(401, "20", f"Недостаточно прав: {entity}")
        fields = self.schema[entity]
        rows = list(self.sets[entity].values())
        if "$filter" in query:
            test = Filter(query["$filter"], fields, self.tables(entity)).test
            rows = [row for row in rows if test(row)]
        if "$orderby" in query:
            fields = query["$orderby"].split(",")
            for name in fields:
                if name not in self.schema[entity]:
                    raise Refused(400, "10", f"Запрошенное свойство не найдено: {name}")
            rows.sort(key=lambda row: [row[name] for name in fields])
        if query.get("$inlinecount") != "allpages":
            rows = rows[int(query.get("$skip", 0)):]
            rows = rows[:int(query.get("$top", len(rows)))]
        return [self.shown(entity, row, query) for row in rows]

    def shown(self, entity, row, query):
        wanted = query.get("$select", "*").split(",")
        for name in wanted:
            if name not in ("*", "**") and name.removesuffix("_Type") not in self.schema[entity] and name not in self.schema[entity]:
                raise Refused(400, "10", f"Запрошенное свойство не найдено: {name}")
        found = {name: row.get(name) for name in self.schema[entity] if "*" in wanted or name in wanted}
        # The kind of what may be anything is a property of its own.
        kinds = [f"{name}_Type" for name in self.schema[entity] if f"{name}_Type" in row]
        return {**found, **{name: row[name] for name in kinds if "*" in wanted or name in wanted}}

    def create(self, entity, body):
        """What is not a property is ignored; what is given as a key is the key."""
        fields = {name: value for name, value in body.items() if name in self.schema[entity] and name not in ("Posted", "Number")}
        key = fields.get("Ref_Key") if self.takes_keys else None
        if key and key in self.sets[entity]:
            raise Refused(400, "15", "Сущность с таким ключом уже существует")
        fields.pop("Ref_Key", None)
        if entity == self.names["orders"]:
            self.check(fields)
            self.number += 1
            fields.update(Number=f"НФ-{self.number:06d}", Posted=False)
        elif entity == "Catalog_Контрагенты" and not fields.get("Description"):
            raise Refused(500, "-1", "Не заполнено наименование")
        elif entity == "Catalog_Контрагенты" and "Catalog_Партнеры" in self.sets and fields.get("Партнер_Key") not in self.sets["Catalog_Партнеры"]:
            raise Refused(500, "-1", "Не заполнено поле «Партнер»")
        return self.sets[entity][self.add(entity, Ref_Key=key, **fields)]

    def check(self, order):
        def reference(entity, name):
            if order.get(name, EMPTY) not in self.sets[entity]:
                raise Refused(500, "-1", f"Не заполнено поле «{name.removesuffix('_Key')}»")
        reference("Catalog_Контрагенты", "Контрагент_Key")
        if "Catalog_Партнеры" in self.sets:
            reference("Catalog_Партнеры", "Партнер_Key")
            if order["Партнер_Key"] != self.sets["Catalog_Контрагенты"][order["Контрагент_Key"]]["Партнер_Key"]:
                raise Refused(500, "-1", "Контрагент не принадлежит партнеру")
        for name in self.names.get("organizations", ["Организация_Key"]):
            reference("Catalog_Организации", name)
        reference("Catalog_Валюты", next(name for name in order if name.startswith("Валюта")))
        if order.get("Date", "") <= self.closed_until:
            raise Refused(500, "-1", "Дата документа меньше даты запрета изменения данных")
        lines = order.get(self.names["lines"]) or []
        for line in lines:
            good = self.names["good"]
            if line.get(good) not in self.sets["Catalog_Номенклатура"] or not self.is_typed(line, good, "Catalog_Номенклатура"):
                raise Refused(500, "-1", "В строке не заполнена номенклатура")
            if RATES in self.sets and line.get("СтавкаНДС_Key") not in self.sets[RATES]:
                raise Refused(500, "-1", "В строке не заполнена ставка НДС")
            if "Catalog_Партнеры" in self.sets and line.get("КоличествоУпаковок") != line.get("Количество"):
                raise Refused(500, "-1", "В строке не заполнено количество упаковок")
        for name, value in self.names.get("constants", {}).items():
            if order.get(name) != value:
                raise Refused(500, "-1", f"Не заполнено поле «{name}»")
        # What a document is worth 1C adds up itself.
        if sum(Decimal(str(line.get(self.names.get("total", "Сумма"), 0))) for line in lines) != Decimal(str(order["СуммаДокумента"])):
            raise Refused(500, "-1", "Сумма документа не равна сумме строк")

    @staticmethod
    def is_typed(row, name, entity):
        """A field that may name things of several kinds names nothing without its kind."""
        return name.endswith("_Key") or row.get(f"{name}_Type") == f"StandardODATA.{entity}"

    def post(self, entity, key):
        row = self.sets[entity].get(key)
        if row is None:
            raise Refused(404, "9", "Экземпляр сущности не найден по переданному ключу")
        if row.get("НеПроводить"):
            raise Refused(500, "-1", row["НеПроводить"])
        row["Posted"] = True

    def metadata(self, padding=0):
        types = "".join(f'<EntityType Name="{name}"><Key><PropertyRef Name="Ref_Key"/></Key>'
                        + "".join(f'<Property Name="{field}" Type="Edm.String" Nullable="true"/>' for field in fields) + "</EntityType>"
                        for name, fields in self.schema.items())
        others = "".join(f'<EntityType Name="Catalog_Прочее{number}"><Property Name="Ref_Key" Type="Edm.Guid"/></EntityType>' for number in range(padding))
        return ('<?xml version="1.0" encoding="utf-8"?><edmx:Edmx xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx" Version="1.0"><edmx:DataServices>'
                f'<Schema Namespace="StandardODATA" xmlns="http://schemas.microsoft.com/ado/2009/11/edm">{types}{others}</Schema></edmx:DataServices></edmx:Edmx>')


class Server:
    """The base on a web server. `fault` names what goes wrong with the next requests:

    `down`: the connection ends without a word · `late`: it is done, and the answer does not come · `later`: it is done only after whoever asked has
    given up · `half`: it is done, and half of the answer comes · `html`: an HTML page with the status 200 · `busy`: 503 · `licence`: no free
    licence · `gateway`: it is done, and the web server says 502."""

    def __init__(self, base, login="Обмен", password="пароль"):
        self.base, self.fault, self.delay = base, None, 0.0
        # Of how many requests one meets the fault, and which: by their method and what they ask for.
        self.every, self.meets = 1, lambda method, name: True
        self.asked = 0
        # Requests that were answered, whatever with; kinds of objects beside ours that the description holds.
        self.served, self.padding = 0, 0
        self.sessions, self.licences = set(), 5
        self.header = "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.serve(self, "GET")

            def do_POST(self):
                outer.serve(self, "POST")

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/ut"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, handler, method):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        with self.base.lock:
            self.served += 1
            fault = None
            if self.fault and self.meets(method, self.name(handler.path)):
                self.asked += 1
                fault = self.fault if self.asked % self.every == 0 else None
        if fault == "down":
            handler.close_connection = True
            return
        if fault == "html":
            return self.say(handler, 200, "<html><body>Вход в систему</body></html>", "text/html; charset=utf-8")
        if fault == "busy":
            return self.say(handler, 503, "", "text/plain")
        if fault == "later":
            time.sleep(self.delay)
        elif self.delay and not fault:
            time.sleep(self.delay)
        status, answer, kind, cookie = self.answer(handler, method, body, fault)
        if fault in ("late", "later"):
            handler.close_connection = True
        elif fault == "half":
            self.say(handler, status, answer[:len(answer) // 2], kind)
        elif fault == "gateway" and method == "POST":
            self.say(handler, 502, "<html>Bad Gateway</html>", "text/html")
        else:
            self.say(handler, status, answer, kind, cookie)

    @staticmethod
    def name(path):
        return unquote(urlsplit(path).path).removeprefix("/ut/odata/standard.odata/")

    def say(self, handler, status, text, kind, cookie=None):
        data = text.encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(data)))
            if cookie:
                handler.send_header("Set-Cookie", f"ibsession={cookie}; path=/")
            handler.end_headers()
            handler.wfile.write(data)
        except OSError:
            handler.close_connection = True

    # Bytes of a query that a web server takes: IIS's own setting.
    QUERY_LIMIT = 2048

    def answer(self, handler, method, body, fault):
        if len(urlsplit(handler.path).query) > self.QUERY_LIMIT:
            return 404, "<html><body>404.15 Query String Too Long</body></html>", "text/html", None
        error = lambda r: json.dumps({"odata.error": {"code": r.code, "message": {"lang": "ru", "value": r.text}}}, ensure_ascii=False)
        if handler.headers.get("Authorization") != self.header:
            return 401, "", "text/plain", None
        given = re.search(r"ibsession=(\S+)", handler.headers.get("Cookie") or "")
        cookie = given[1] if given and given[1] in self.sessions else None
        with self.base.lock:
            if fault == "licence":
                self.sessions.discard(cookie)
                cookie = None
            if cookie is None:
                if fault == "licence" or len(self.sessions) >= self.licences:
                    return 500, "<html><body>Не обнаружено свободной лицензии!</body></html>", "text/html; charset=utf-8", None
                cookie = str(uuid.uuid4())
                if handler.headers.get("IBSession") == "start":
                    self.sessions.add(cookie)
            try:
                return self.work(handler.path, method, body) + (cookie,)
            except Refused as refused:
                return refused.status, error(refused), "application/json;charset=utf-8", cookie

    def work(self, path, method, body):
        parts = urlsplit(path)
        query, name = dict(parse_qsl(parts.query)), self.name(path)
        kind = "application/json;odata=minimalmetadata;charset=utf-8"
        if name == "$metadata":
            return 200, self.base.metadata(self.padding), "application/xml;charset=utf-8"
        if name in ("SelectChanges", "NotifyChangesReceived"):
            node = query["DataExchangePoint"].removeprefix("'").removesuffix("'").removeprefix(self.url + "/odata/standard.odata/")
            if name == "SelectChanges":
                return 200, json.dumps(self.base.feed(node, int(query["MessageNo"])), ensure_ascii=False, default=float), kind
            self.base.received(node, int(query["MessageNo"]))
            return 200, "", kind
        if query.get("$format") != "json":
            raise Refused(406, "3", "Запрошенный тип представления не поддерживается")
        write = lambda value: json.dumps(value, ensure_ascii=False, default=float)
        one = re.fullmatch(r"(\w+)\(guid'([0-9a-f-]{36})'\)(/Post)?", name)
        if one and one[1] not in self.base.sets or not one and name not in self.base.sets:
            raise Refused(404, "8", f"Тип сущности не найден: {one[1] if one else name}")
        if one and one[3] and method == "POST":
            self.base.post(one[1], one[2])
            return 200, "", kind
        if one and method == "GET":
            row = self.base.sets[one[1]].get(one[2])
            if row is None:
                raise Refused(404, "9", "Экземпляр сущности не найден по переданному ключу")
            return 200, write(self.base.shown(one[1], row, query)), kind
        if method == "GET":
            return 200, write({"odata.metadata": "$metadata#" + name, "value": self.base.find(name, query)}), kind
        made = self.base.create(name, json.loads(body, parse_float=Decimal))
        return 201, write(self.base.shown(name, made, {})), kind
