"""A site's form, and the webhook of a site builder: every request becomes a lead, once."""
import requests
from suite import wait_for


def post(suite, status=202, channel="site", key="form-key", headers=None, **how):
    answer = requests.post(suite.url("bot-gateway") + f"/api/v1/forms/{channel}", headers={**({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}, timeout=20, **how)
    assert answer.status_code == status, answer.text
    return answer


def lead(suite, journey):
    return wait_for(lambda: (suite.get("crm-core", "/api/v1/leads", suite.token(), journeyId=journey)["items"] or [None])[0], what="the lead")


def test_a_form_as_a_browser_submits_it(suite):
    form = {"Name": "Анна Котова", "Телефон": "8 (912) 000-11-22", "email": "anna@example.ru", "Комментарий": "Нужен станок", "Бюджет": "500 000",
            "utm_source": "yandex", "utm_campaign": "stanki", "согласие": "on"}
    made = post(suite, data=form).json()
    found = lead(suite, made["journeyId"])
    assert (found["name"], found["phone"], found["email"]) == ("Анна Котова", "+79120001122", "anna@example.ru")
    assert found["answers"]["Бюджет"] == "500 000" and found["attribution"]["first"]["source"] == "yandex" and not found["phoneConfirmed"]
    # Whoever had no answer sends it again; another form of the same person is another message of the same talk.
    assert post(suite, data=form).json() == {**made, "duplicate": True}
    assert post(suite, files={name: (None, value) for name, value in form.items()}).json()["duplicate"], "in another form of a form"
    again = post(suite, data={**form, "Комментарий": "И ещё фреза"}).json()
    assert again["conversationId"] == made["conversationId"] and not again["duplicate"]
    page = post(suite, 200, data={"name": "Пётр", "phone": "+79120001133"}, headers={"Accept": "text/html,*/*"})
    assert "заявка принята" in page.text and page.headers["content-type"].startswith("text/html")


def test_a_webhook_has_its_key_where_it_can(suite):
    body = {"tranid": "77:1", "Name": "Олег", "Phone": "+7 912 000 11 44", "items": [{"sku": "A"}], "formname": "Заказ"}
    made = post(suite, key=None, params={"key": "form-key"}, json=body).json()
    assert lead(suite, made["journeyId"])["answers"]["formname"] == "Заказ"
    assert post(suite, key=None, data={**{k: v for k, v in body.items() if k != "items"}, "key": "form-key"}).json()["duplicate"], "by its own number"
    assert suite.sql("bot_gateway", "SELECT count(*) FROM message WHERE external_id = '77:1'") == [["1"]]


def test_what_is_no_form_is_refused_in_words_and_kept(suite):
    assert post(suite, 401, key=None, data={"name": "x"}).json()["status"] == 401
    post(suite, 401, key=None, params={"key": "wrong"}, data={"name": "x"})
    post(suite, 403, key="reader-key", data={"name": "x"})
    post(suite, 403, channel="other", data={"name": "x"})
    kept = lambda: int(suite.sql("bot_gateway", "SELECT count(*) FROM incoming WHERE state = 'parked'")[0][0])
    before = kept()
    assert "kept" in post(suite, 400, data=b"[1, 2]", headers={"Content-Type": "application/json"}).json()["detail"]
    assert "kept" in post(suite, 400, data=b"").json()["detail"]
    assert "200 fields" in post(suite, 422, data={f"f{i}": "x" for i in range(201)}).json()["detail"]
    assert kept() == before + 3
    post(suite, 413, data={"text": "x" * 300_000})
