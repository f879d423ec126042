"""The workspace as a person uses it: in a real browser, on a phone's width and on a desk's."""
import os
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select
from suite import OneC, wait_for

SHOTS = os.environ.get("THROUGHLINE_SHOTS")


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for word in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--force-prefers-reduced-motion", "--lang=ru"]:
        options.add_argument(word)
    options.binary_location = "/usr/bin/chromium"
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield browser
    browser.quit()


class Person:
    """Somebody who looks at pages."""

    def __init__(self, browser, suite, width):
        self.browser, self.suite = browser, suite
        browser.set_window_size(width, 900)

    def open(self, path):
        self.browser.get(self.suite.url("crm-core") + path)

    def find(self, name):
        return self.browser.find_element(By.ID, name)

    def press(self, name):
        self.find(name).click()

    def fill(self, name, text):
        field = self.browser.find_element(By.NAME, name)
        field.clear()
        field.send_keys(text)

    def sees(self, text, seconds=20, again=False):
        def there():
            try:
                if text in self.browser.find_element(By.TAG_NAME, "body").text:
                    return True
            except (NoSuchElementException, StaleElementReferenceException):
                return False  # between two pages
            if again:
                self.browser.refresh()
            return False
        wait_for(there, seconds, f"«{text}» on the page")

    def log_in(self, login):
        self.browser.delete_all_cookies()
        self.open("/leads")
        wait_for(lambda: "/login" in self.browser.current_url, what="the log-in page for a stranger")
        self.find("login").send_keys(login)
        self.find("password").send_keys(f"{login}-password")
        self.press("enter")
        wait_for(lambda: "/login" not in self.browser.current_url, what="the workspace behind the log-in")

    def shot(self, name):
        if SHOTS:
            self.browser.save_screenshot(str(Path(SHOTS) / f"{name}.png"))

    def no_side_scroll(self):
        width, inner = self.browser.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= inner, f"the page is {width} wide on a screen of {inner}"


def test_a_manager_works_a_request_on_a_phone(suite, browser):
    person = Person(browser, suite, 400)
    token = suite.token()
    suite.say(9500, 777, "/start campaign_7", name="Браузер")
    suite.telegram.next()
    suite.say(9501, 777, "Зоя Браузерная")
    suite.telegram.next()
    lead = wait_for(lambda: next((x for x in suite.get("crm-core", "/api/v1/leads", token)["items"]
                                  if x["name"] == "Зоя Браузерная"), None))
    who = next(u["login"] for u in suite.get("crm-core", "/api/v1/users", token)["items"]
               if u["id"] == lead["responsibleId"])

    person.log_in(who)
    person.sees("Зоя Браузерная", again=True)
    person.shot("phone-leads")
    person.no_side_scroll()
    next(a for a in browser.find_elements(By.CSS_SELECTOR, "a.list-group-item") if "Зоя" in a.text).click()
    person.sees("Сквозной путь")
    person.no_side_scroll()
    person.find("reply").send_keys("Здравствуйте, Зоя!")
    person.press("send")
    assert suite.telegram.next()["text"] == "Здравствуйте, Зоя!"
    person.sees("Диалог ведёт")
    person.find("reply").send_keys("Черновик")
    suite.say(9502, 777, "Ответ без перезагрузки")
    wait_for(lambda: "Ответ без перезагрузки" in person.find("chat").text, 10, "the client's word")
    assert person.find("reply").get_attribute("value") == "Черновик", "what is being written stays"
    person.shot("phone-lead")

    person.press("take")
    person.sees("в работе")
    person.fill("title", "Станок для Зои")
    person.fill("amount", "1 500,50")
    person.press("convert")
    person.sees("Станок для Зои")
    assert "1 500,50" in browser.find_element(By.TAG_NAME, "body").text.replace("\u00a0", " ")
    person.fill("name", "Токарный станок <ТВ-320>")
    person.fill("price", "1500,50")
    person.press("order")
    person.sees("ждёт 1С")
    Select(person.find("stage")).select_by_value("won")
    person.press("move")
    person.sees("выиграна")
    person.no_side_scroll()
    person.shot("phone-deal")

    onec = OneC(suite)
    number = wait_for(lambda: (onec.open(), onec.fetch())[1], what="the order in the exchange")[0]["Номер"]
    onec.call("success")
    onec.send(number, "1500.50", payments=[("w1", "500.50", "true")])
    person.sees("частично", again=True)
    person.sees("остаток", again=True)
    person.shot("phone-paid")
    browser.find_element(By.NAME, "q").send_keys(number + "\n")
    person.sees(f"Заказ {number}")
    person.press("logout")
    wait_for(lambda: "/login" in browser.current_url)


def test_a_head_sees_the_company_at_a_desk(suite, browser):
    person = Person(browser, suite, 1280)
    token = suite.token()
    company = suite.post("crm-core", "/api/v1/companies", token,
                         {"name": "ООО «Ромашка» & Ко", "inn": "7707083893", "kpp": "770701001"}, status=201)
    suite.post("crm-core", "/api/v1/contacts", token,
               {"name": "Пётр Иванов", "phone": "8 916 222-33-44", "role": "закупщик", "companyId": company["id"]}, status=201)
    person.log_in("admin")
    person.open(f"/companies/{company['id']}")
    person.sees("ООО «Ромашка» & Ко")
    person.sees("+7 916 222-33-44")
    person.open("/dashboard")
    person.sees("Первый ответ менеджера")
    before = browser.find_element(By.ID, "tiles").text
    suite.say(9600, 778, "/start")
    suite.telegram.next()
    wait_for(lambda: browser.find_element(By.ID, "tiles").text != before, 10, "the dashboard to move by itself")
    person.shot("desk-dashboard")
    person.open("/journal")
    person.sees("Журнал обмена с 1С")
    person.shot("desk-journal")
    browser.find_element(By.CSS_SELECTOR, "a.list-group-item").click()
    person.sees("Запрос")
    person.open("/leads?lang=en")
    person.sees("My leads")
    person.open("/dashboard")
    person.sees("First answer by a manager")
    person.open("/journal")
    person.sees("Exchange with 1C")
    person.open("/leads?lang=ru")
    person.sees("Мои заявки")
    person.shot("desk-leads")


def test_a_form_of_another_session_is_refused(suite):
    page = requests.Session()
    page.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    cookie = next(c for c in page.cookies if c.name == "throughline_session")
    assert cookie.has_nonstandard_attr("HttpOnly") and "Lax" in str(cookie._rest.get("SameSite"))
    answer = page.post(suite.url("crm-core") + "/at-work", data={"csrf": "0" * 32}, timeout=20)
    assert answer.status_code == 403


def test_an_integrator_sees_what_waits_and_repeats_what_failed(suite, browser):
    suite.sql("bi_aggregator", "ALTER TABLE fact ADD CONSTRAINT planted CHECK (metric <> 'leads.created') NOT VALID")
    token = suite.token()
    order = suite.order(token, "seen")
    wait_for(lambda: suite.sql("bi_aggregator", "SELECT 1 FROM parked WHERE settled_at IS NULL AND NOT behind"))
    person = Person(browser, suite, 1280)
    person.log_in("admin")
    person.open(f"/flow?order={order['number']}")
    person.sees("Движение данных")
    person.sees(f"Заказ № {order['number']}")
    person.sees("orders:unf")
    person.sees("planted")
    if SHOTS:
        browser.save_screenshot(f"{SHOTS}/flow.png")
    suite.sql("bi_aggregator", "ALTER TABLE fact DROP CONSTRAINT planted")
    person.open("/replays?service=bi-aggregator")
    person.fill("error", "planted")
    person.press("plan")
    person.sees("Что изменится")
    person.sees("Факты показателей")
    if SHOTS:
        browser.save_screenshot(f"{SHOTS}/replay.png")
    person.press("apply")
    person.sees("выполнено", again=True)
    wait_for(lambda: suite.sql("bi_aggregator", "SELECT count(*) FROM parked WHERE settled_at IS NULL") == [["0"]], what="all of it to be done")
    person.browser.set_window_size(390, 844)
    person.open("/flow?lang=en")
    person.sees("Data flow")
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth + 1")
    if SHOTS:
        browser.save_screenshot(f"{SHOTS}/flow-phone.png")
