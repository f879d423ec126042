"""An accounting system that answers questions (`deploy/docs/inquiries.md`): prices by its own rules of discounts, and receipts by booking or order.
As an HTTP service of 1C, and as a program behind a folder. `fault` names what goes wrong with the next questions."""
import base64
import json
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


class Rules:
    """What it knows: prices of goods, a client's own discount, a scale by what he has bought, receipts."""

    def __init__(self):
        self.prices = {"TV-16": Decimal("450000"), "FR-12": Decimal("1250.50")}
        # By INN: a discount of his own, and what he has bought so far.
        self.own, self.bought = {}, {}
        self.scale = [(Decimal(100000), Decimal(3)), (Decimal(500000), Decimal(5)), (Decimal(1000000), Decimal(7))]
        self.receipts, self.asked = [], []

    def answer(self, kind, question):
        self.asked.append((kind, question))
        if kind == "prices":
            return self.quote(question)
        if kind == "receipts":
            found = [r for r in self.receipts if r.get("bookingId") is not None and r["bookingId"] == question["booking"]
                     or r.get("orderNumber") in question["orders"]]
            return {"receipts": found}
        if any(r["id"] == question["id"] for r in self.receipts):
            return PDF
        return {"error": "такого чека нет"}

    def quote(self, question):
        inn = (question.get("client") or {}).get("inn")
        bought = self.bought.get(inn, Decimal(0))
        step = max((percent for border, percent in self.scale if bought >= border), default=Decimal(0))
        percent, name = max((step, "накопительная"), (self.own.get(inn, Decimal(0)), "по соглашению"))
        lines = []
        for line in question["lines"]:
            price = self.prices.get(line["sku"])
            if price is None:
                lines.append({"sku": line["sku"], "refused": "нет цены на этот товар"})
                continue
            cut = (price * (100 - percent) / 100).quantize(Decimal("0.01"))
            lines.append({"sku": line["sku"], "price": str(cut), "listPrice": str(price), "vat": "20", "unit": "шт",
                          **({"discountPercent": str(percent), "discountName": name} if percent else {})})
        ahead = [(border - bought, percent) for border, percent in self.scale if bought < border]
        return {"lines": lines, "nextDiscount": {"percent": str(ahead[0][1]), "remaining": str(ahead[0][0])} if ahead else None}


class Service:
    """As 1C publishes it: `…/hs/throughline/prices`, `/receipts`, `/print`, with Basic credentials.

    Faults: `html`, `busy` (503), `licence`, `slow` (`delay` seconds), `down`, and `say`: whatever `words` holds, with `status`."""

    def __init__(self, rules, login="Вопросы", password="пароль"):
        self.rules, self.fault, self.delay, self.words, self.status = rules, None, 0.0, b"", 200
        # Slow questions at once, and the most there ever were.
        self.under_way = self.most = 0
        # With which status it refuses: 1C's services like 500.
        self.refusal = 500
        self.lock = threading.Lock()
        header = "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Authorization") != header:
                    return self.say(401, b"", "text/plain")
                outer.serve(self, body)

            def say(self, status, data, kind):
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/ut/hs/throughline"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, handler, body):
        if self.fault == "down":
            handler.close_connection = True
            return None
        if self.fault == "html":
            return handler.say(200, "<html>Вход</html>".encode(), "text/html")
        if self.fault == "busy":
            return handler.say(503, b"", "text/plain")
        if self.fault == "licence":
            return handler.say(500, "Не обнаружено свободной лицензии!".encode(), "text/plain")
        if self.fault == "say":
            return handler.say(self.status, self.words, "application/json")
        if self.fault == "slow":
            with self.lock:
                self.under_way += 1
                self.most = max(self.most, self.under_way)
            time.sleep(self.delay)
            with self.lock:
                self.under_way -= 1
        kind = handler.path.rsplit("/", 1)[1]
        answer = self.rules.answer(kind, json.loads(body))
        if isinstance(answer, bytes):
            return handler.say(200, answer, "application/pdf")
        return handler.say(self.refusal if "error" in answer else 200, json.dumps(answer, ensure_ascii=False).encode(), "application/json;charset=utf-8")


class Program:
    """The same behind a folder: `questions/…json` is answered by `answers/…json` or `….pdf`."""

    def __init__(self, rules, folder):
        self.rules, self.folder = rules, Path(folder)

    def works(self):
        """Answers what was asked; how many."""
        questions = sorted((self.folder / "questions").glob("*.json"))
        for file in questions:
            if list((self.folder / "answers").glob(f"{file.stem}.*")):
                # Answered, and not fetched yet.
                continue
            kind, question = file.stem.split("-", 1)[0], json.loads(file.read_text())
            answer = self.rules.answer(kind, question)
            data = answer if isinstance(answer, bytes) else json.dumps(answer, ensure_ascii=False).encode()
            target = self.folder / "answers" / f"{file.stem}.{'pdf' if isinstance(answer, bytes) else 'json'}"
            draft = target.with_name(target.name + ".part")
            draft.write_bytes(data)
            draft.rename(target)
        return len(questions)
