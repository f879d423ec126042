"""The published descriptions against the code and the running suite: neither says what the other does not do."""
import json
import re
from pathlib import Path

import pytest
import requests
import yaml
import zmq
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate as validate_openapi
from suite import SERVICES, OneC, wait_for
from test_bank import load, statement

ROOT = Path(__file__).parents[2]
ROUTE = re.compile(r'router\.(get|post|patch|put|delete)\("([^"]+)"\)')
LISTED = re.compile(r'for path in \[([^\]]+)\] as \[RouterPath\]')
SCREENS = re.compile(r"^/(login|logout|at-work|leads|deals|orders|journeys|companies|search|live|conversations|assets|journal|dashboard|flow|replays|disputes|clients|connectors)?(/|$)")


def described(service):
    """What every service answers alike is put in front of what it alone does."""
    common = ROOT / "Shared/ServiceKit/OpenAPI"
    text = (ROOT / f"Services/{service}/App/openapi.yaml").read_text()
    text = text.replace("components:\n  schemas:\n", (common / "components.yaml").read_text(), 1)
    return yaml.safe_load(text.replace("\npaths:\n", "\npaths:\n" + (common / "paths.yaml").read_text(), 1))


@pytest.mark.parametrize("service", SERVICES)
def test_routes_and_description_name_the_same(service):
    """Screens are for people; everything else is described, and nothing more is."""
    sources = [*(ROOT / f"Services/{service}").rglob("*.swift"), *(ROOT / "Shared/ServiceKit/Running").glob("*Routes.swift")]
    routes = set()
    for text in (source.read_text() for source in sources):
        routes |= {(method, path) for method, path in ROUTE.findall(text)}
        for listed in LISTED.findall(text):
            routes |= {(method, path) for path in re.findall(r'"([^"]+)"', listed) for method in ("get", "post")}
    routes = {(m, re.sub(r":(\w+)", r"{\1}", p)) for m, p in routes if not SCREENS.match(p)}
    routes = {(m, p.replace("\\(verb)", verb)) for m, p in routes for verb in ("pause", "resume")}
    paths = described(service)["paths"]
    documented = {(m, p) for p, ops in paths.items() for m in ops if m != "parameters"}
    assert routes == documented


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_serves_its_valid_description(suite, service):
    text = requests.get(suite.url(service) + "/openapi.yaml", timeout=20).text
    assert yaml.safe_load(text) == described(service)
    validate_openapi(described(service))


def test_what_is_not_built_yet_is_not_there(suite):
    for service, path in [("crm-core", "/api/v1/webhooks"), ("bot-gateway", "/bot1:a/getMe")]:
        answer = requests.get(suite.url(service) + path, timeout=20)
        assert answer.status_code == 404 and answer.headers["Content-Type"] == "application/problem+json"


@pytest.fixture(scope="module")
def living(suite):
    """A suite with one of everything."""
    token = suite.token()
    suite.say(1, 11, "/start campaign", name="Ольга")
    suite.telegram.next()
    body = {"channel": "site", "conversationId": "i", "messageId": "1", "text": "Фреза",
            "sender": {"name": "Анна", "phone": "8 916 555-66-77", "email": "anna@example.ru"}}
    journey = suite.post("bot-gateway", "/api/v1/messages", "form-key", body, status=202)["journeyId"]
    lead = wait_for(lambda: (suite.get("crm-core", "/api/v1/leads", token, journeyId=journey)["items"] or [None])[0])
    company = suite.post("crm-core", "/api/v1/companies", token, {"name": "ООО Ромашка", "inn": "7707083893", "kpp": "770701001"})
    contact = suite.post("crm-core", "/api/v1/contacts", token, {"name": "Пётр", "companyId": company["id"]})
    deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token,
                      {"companyId": company["id"], "amount": {"amount": "10.00", "currency": "RUB"}})
    line = {"sku": "F", "name": "Фреза", "quantity": "1", "price": "10.00"}
    order = suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", token, {"currency": "RUB", "lines": [line]}, key="i")
    suite.post("crm-core", f"/api/v1/deals/{deal['id']}/stage", token, {"stage": "won"})
    onec = OneC(suite)
    wait_for(lambda: (onec.open(), onec.fetch())[1])
    carried = suite.post("accounting-bridge", f"/api/v1/bases/{suite.get('crm-core', '/api/v1/orders/' + order['orderId'], token)['base']}/orders-files", token, {}, status=201)
    onec.call("success")
    onec.send(order["number"], "10.00", payments=[("i1", "10.00", "true")], shipments=[("i2", "10.00", "true")])
    onec.send(99999, "1.00")
    wait_for(lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)["payment"] == "full")
    wait_for(lambda: suite.get("notifier", "/api/v1/deliveries", token)["items"])
    paid = load(suite, token, statement(("1", "10.00", "7707083893", f"счет {order['number']}"), day="01.12.2026"))["documents"][0]
    suite.post("accounting-bridge", "/api/v1/payment-claims", token, {"amount": {"amount": "10.00", "currency": "RUB"}}, status=201)
    talk = suite.get("bot-gateway", "/api/v1/conversations", token)["items"][0]
    exchange = suite.get("accounting-bridge", "/api/v1/exchanges", token)["items"][0]
    wait_for(lambda: suite.get("bi-aggregator", "/api/v1/metrics/money.received", token)["items"])
    return {"token": token, "journey": journey, "contact": contact["id"], "company": company["id"],
            "/api/v1/leads/{id}": lead["id"], "/api/v1/deals/{id}": deal["id"], "/api/v1/orders/{id}": order["orderId"],
            "/api/v1/companies/{id}": company["id"], "/api/v1/contacts/{id}": contact["id"], "/api/v1/journeys/{id}": journey,
            "/api/v1/clients/{id}/changes": company["id"], "/api/v1/companies/{id}/settlements": company["id"],
            "/api/v1/conversations/{id}/messages": talk["id"], "/api/v1/exchanges/{id}": exchange["id"],
            "/api/v1/orders-files/{id}": carried["id"], "/api/v1/bank-payments/{id}": paid["id"], "/api/v1/order-stories/{number}": order["number"]}


@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_has_the_described_shape(suite, living, service):
    description = described(service)
    checked = 0
    for path, operations in description["paths"].items():
        answer = operations.get("get", {}).get("responses", {}).get("200", {})
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        if not schema:
            continue
        place = path.replace("{id}", living.get(path, "")).replace("{name}", "money.received").replace("{number}", living.get(path, ""))
        params = {"q": "Фреза", "contactId": living["contact"], "companyId": living["company"]} if path in (
            "/api/v1/search", "/api/v1/journeys") else {"journeyId": living["journey"]} if path == "/api/v1/whereabouts" else {"booking": "none"} if path == "/api/v1/receipts" else {}
        if path == "/api/v1/replays/{id}":
            place = f"/api/v1/replays/{suite.post(service, '/api/v1/replays', living['token'], {'filter': {'error': 'x'}, 'dryRun': True}, status=201)['id']}"
        value = suite.get(service, place, living["token"], **params)
        document = {**schema, "components": description["components"]}
        errors = [f"{'/'.join(map(str, e.path))}: {e.message}" for e in Draft202012Validator(document).iter_errors(value)]
        assert not errors, (path, errors[:5])
        for name, properties in shapes(schema, value, description["components"]["schemas"]):
            assert set(properties[1]) <= set(properties[0]), (path, name, set(properties[1]) - set(properties[0]))
        checked += 1
    assert checked >= 2


def shapes(schema, value, schemas):
    """Pairs of described and given field names, for the objects that the schema names."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        if isinstance(value, dict) and "properties" in schemas.get(name, {}):
            yield name, (schemas[name]["properties"], value)
            yield from shapes(schemas[name], value, schemas)
    for key, inner in schema.get("properties", {}).items():
        if isinstance(value, dict) and key in value:
            yield from shapes(inner, value[key], schemas)
    if isinstance(value, list) and "items" in schema:
        for item in value:
            yield from shapes(schema["items"], item, schemas)


def test_every_event_and_figure_is_described(suite, living):
    spec = yaml.safe_load((ROOT / "deploy/asyncapi.yaml").read_text())
    messages = {m["name"]: m["payload"] for m in spec["components"]["messages"].values()}
    golden = {f.stem for f in (ROOT / "Tests/ContractsTests/Golden").glob("*.json")}
    assert set(messages) - {"metric"} == golden

    def problems(payload, value):
        return [e.message for e in Draft202012Validator({**payload, "components": spec["components"]}).iter_errors(value)]
    for name in golden:
        data = json.loads((ROOT / f"Tests/ContractsTests/Golden/{name}.json").read_text())
        schema = messages[name]["allOf"][1]["properties"]["data"]
        assert not problems(schema, data), (name, problems(schema, data))
    feed = suite.get("crm-core", "/api/v1/events", "reader-key", limit=200)["items"]
    assert len({e["type"] for e in feed}) >= 15
    for event in feed:
        assert not problems(messages[event["type"]], event), (event, problems(messages[event["type"]], event))
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.RCVTIMEO, 20000)
    socket.setsockopt(zmq.LINGER, 0)
    socket.subscribe("metric/")
    socket.connect(f"tcp://127.0.0.1:{suite.base + 303}")
    for _ in range(20):
        topic, body = socket.recv_multipart()
        cell = json.loads(body)
        assert topic.decode() == f"metric/{cell['metric']}/{cell['grain']}"
        assert not problems(messages["metric"], cell), cell
    socket.close()
