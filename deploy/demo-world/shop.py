"""An internet shop that expects 1C to fetch its orders: the site's side of «обмен с сайтом», with a cookie and a token per session, as Bitrix and its like have it.
Orders are given again until `success`, which counts for exactly those of the session's last answer.

`fault`: `down`, `html` (a page with the status 200), `half` (of the answer), `closed` (401), `deaf` (it dies before it hears `success`)."""
import base64
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape


class Shop:
    def __init__(self, login="1c", password="обмен", encoding="utf-8", namespace="urn:1C.ru:commerceml_210", container=False, newline="\n"):
        self.encoding, self.namespace, self.container, self.fault, self.newline = encoding, namespace, container, None, newline
        self.waiting, self.sessions, self.confirmed, self.inits = {}, {}, [], 0
        self.lock = threading.Lock()
        header = "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if outer.fault == "down":
                    self.close_connection = True
                    return
                query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
                with outer.lock:
                    status, body = outer.answer(query, self.headers, header)
                if body is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/bitrix/admin/1c_exchange.php"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def order(self, number, name="Иванов Иван", phone="+7 916 123-45-67", email="ivan@example.ru", lines=(("A-1", "Станок", "2", "450.00"),), total="900.00",
              requisites=(("Способ доставки", "Курьер"), ("Метод оплаты", "Наличные")), comment="Позвонить заранее", extra=""):
        goods = "".join(f"<Товар><Ид>{sku}</Ид><Артикул>{sku}</Артикул><Наименование>{escape(title)}</Наименование><ЦенаЗаЕдиницу>{price}</ЦенаЗаЕдиницу>"
                        f"<Количество>{count}</Количество><Сумма>{float(count) * float(price):.2f}</Сумма></Товар>" for sku, title, count, price in lines)
        values = "".join(f"<ЗначениеРеквизита><Наименование>{k}</Наименование><Значение>{v}</Значение></ЗначениеРеквизита>" for k, v in requisites)
        contacts = "".join(f"<Контакт><Тип>{kind}</Тип><Значение>{value}</Значение></Контакт>" for kind, value in [("Телефон", phone), ("Почта", email)] if value)
        document = (f"<Документ><Ид>{number}</Ид><Номер>{number}</Номер><Дата>2026-11-20</Дата><Время>12:30:00</Время><ХозОперация>Заказ товара</ХозОперация>"
                    f"<Роль>Продавец</Роль><Валюта>RUB</Валюта><Курс>1</Курс><Сумма>{total}</Сумма><Контрагенты><Контрагент><Ид>7#{name}</Ид><Наименование>{escape(name)}</Наименование>"
                    f"<Роль>Покупатель</Роль><ПолноеНаименование>{escape(name)}</ПолноеНаименование><Адрес><Представление>Москва, Лесная, 5</Представление></Адрес>"
                    f"<Контакты>{contacts}</Контакты></Контрагент></Контрагенты><Комментарий>{escape(comment)}</Комментарий><Товары>{goods}</Товары>"
                    f"<ЗначенияРеквизитов>{values}</ЗначенияРеквизитов>{extra}</Документ>")
        with self.lock:
            self.waiting[str(number)] = f"<Контейнер>{document}</Контейнер>" if self.container else document

    def answer(self, query, headers, header):
        mode = query.get("mode")
        if self.fault == "html":
            return 200, b"<html><body>502</body></html>"
        if mode == "checkauth":
            if headers.get("Authorization") != header or self.fault == "closed":
                return 401, "failure\nНеверный логин или пароль".encode()
            session, token = secrets.token_hex(16), secrets.token_hex(8)
            self.sessions[session] = {"token": token, "given": None}
            return 200, self.newline.join(["success", "PHPSESSID", session, f"sessid={token}", "timestamp=1"]).encode()
        cookie = (headers.get("Cookie") or "").removeprefix("PHPSESSID=")
        session = self.sessions.get(cookie)
        if session is None or query.get("sessid") != session["token"]:
            return 200, "failure\nСессия не найдена".encode()
        if mode == "init":
            self.inits += 1
            return 200, b"zip=no\nfile_limit=204800"
        if mode == "query":
            session["given"] = dict(self.waiting)
            space = f' xmlns="{self.namespace}"' if self.namespace else ""
            # The moment of the answer makes each another one.
            self.told = getattr(self, "told", 0) + 1
            xml = f'<?xml version="1.0" encoding="{self.encoding}"?><КоммерческаяИнформация{space} ВерсияСхемы="2.10" ДатаФормирования="2026-11-20T12:{self.told // 60 % 60:02}:{self.told % 60:02}">{"".join(self.waiting.values())}</КоммерческаяИнформация>'
            body = xml.encode(self.encoding)
            return 200, body[:len(body) // 2] if self.fault == "half" else body
        if mode == "success":
            if self.fault == "deaf":
                return 200, None
            for number, document in (session["given"] or {}).items():
                if self.waiting.get(number) == document:
                    del self.waiting[number]
                self.confirmed.append(number)
            return 200, b"success"
        return 200, b"failure"
