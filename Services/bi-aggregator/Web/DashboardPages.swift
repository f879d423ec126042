import Contracts
import Hummingbird
import HTTPTypes
import NIOCore
import Postgres
import Primitives
import ServiceKit
import Synchronization

/// The dashboard; the workspace forwards `/dashboard` here with the user's session.
struct DashboardPages: Sendable {
    let pool: PostgresPool
    let live: LiveFigures

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/dashboard") { _, context in
            try context.requireCaller()
            return Response.html(Self.page)
        }
        router.get("/dashboard/data") { _, context in
            try context.requireCaller()
            return try Response.json(try await data())
        }
        router.get("/dashboard/live") { _, context in
            try context.requireCaller()
            guard let changes = live.listen() else {
                throw Problem(.serviceUnavailable, "too-many-pages", "Too many pages are open")
            }
            let stream = ResponseBody { writer in
                try await writer.write(ByteBuffer(string: ": open\n\n"))
                for await metric in changes {
                    try await writer.write(ByteBuffer(string: "data: \(metric)\n\n"))
                }
                try await writer.finish(nil)
            }
            return Response(
                status: .ok,
                headers: [.contentType: "text/event-stream", .cacheControl: "no-store"], body: stream)
        }
    }

    private struct Figures: Encodable {
        let funnel, money, owed, human, bot, leads: [Cell]
    }

    private func data() async throws -> Figures {
        func cells(_ metric: String, by: String) async throws -> [Cell] {
            try await pool.query(
                """
                SELECT \(Cell.columns) FROM cell
                WHERE metric = $1 AND grain = 'total' AND by_dimensions = $2 ORDER BY dimensions
                """, [.text(metric), .text(by)]
            ).map { try Cell($0) }
        }
        return Figures(
            funnel: try await cells("funnel.reached", by: "step"),
            money: try await cells("money.received", by: "channel"),
            owed: try await cells("receivables.owed", by: ""),
            human: try await cells("response.human", by: ""),
            bot: try await cells("response.bot", by: ""),
            leads: try await cells("leads.created", by: ""))
    }

    private static let page = """
        <h1 class="h4 mb-3">Показатели</h1>
        <div class="row g-3 mb-3" id="tiles"></div>
        <div class="row g-3"><div class="col-lg-6"><div class="card"><div class="card-body"><h2 class="h6">Воронка</h2>
        <canvas id="funnel" height="180" aria-label="Воронка"></canvas></div></div></div>
        <div class="col-lg-6"><div class="card"><div class="card-body"><h2 class="h6">Деньги по каналам</h2>
        <canvas id="money" height="180" aria-label="Деньги по каналам"></canvas></div></div></div></div>
        <script src="/assets/chart.js"></script>
        <script>
        const steps = {lead:'Заявка',taken:'В работе',deal:'Сделка',won:'Выиграна',order:'Заказ в 1С',paid:'Оплачено'};
        const charts = {};
        function chart(id, type, labels, values, color) {
          if (charts[id]) { charts[id].data.labels = labels; charts[id].data.datasets[0].data = values; charts[id].update(); return; }
          charts[id] = new Chart(document.getElementById(id), {type, data:{labels, datasets:[{data:values, backgroundColor:color}]},
            options:{indexAxis: id==='funnel'?'y':'x', plugins:{legend:{display:false}}}});
        }
        const sum = (cells) => cells.map(c => Number(c.value).toLocaleString('ru-RU', {style:'currency', currency:c.dimensions.currency})).join(' + ') || '0';
        const span = (c) => !c.length ? '—' : c[0].value < 60 ? c[0].value.toFixed(1).replace('.', ',') + ' с' : (c[0].value/60).toFixed(1).replace('.', ',') + ' мин';
        async function refresh() {
          const d = await (await fetch('/dashboard/data')).json();
          const total = {};
          d.money.forEach(c => { total[c.dimensions.currency] = (total[c.dimensions.currency]||0) + Math.round(Number(c.value)*100); });
          const money = Object.entries(total).map(([k,v]) => (v/100).toLocaleString('ru-RU',{style:'currency',currency:k})).join(' + ') || '0';
          document.getElementById('tiles').innerHTML = [['Заявки', d.leads.length ? d.leads[0].value : 0], ['Получено денег', money],
            ['Должны нам', sum(d.owed)], ['Ответ бота', span(d.bot)], ['Первый ответ менеджера', span(d.human)]]
            .map(([t,v]) => `<div class="col-6 col-lg"><div class="card h-100"><div class="card-body"><div class="text-muted small">${t}</div><div class="h4 mb-0" data-tile="${t}">${v}</div></div></div></div>`).join('');
          const f = Object.fromEntries(d.funnel.map(c => [c.dimensions.step, c.value]));
          chart('funnel','bar',Object.values(steps),Object.keys(steps).map(k => f[k]||0),'#2f6f9f');
          chart('money','bar',d.money.map(c => c.dimensions.channel + ', ' + c.dimensions.currency),d.money.map(c => Number(c.value)),'#3c9d6b');
        }
        refresh();
        let waiting = null;
        new EventSource('/dashboard/live').onmessage = () => { if (!waiting) waiting = setTimeout(() => { waiting = null; refresh(); }, 300); };
        </script>
        """
}

/// Tells open dashboards that figures moved.
final class LiveFigures: Sendable {
    private let listeners = Mutex<[Int: AsyncStream<String>.Continuation]>([:])
    private let nextKey = Mutex(0)
    private static let limit = 300

    func changed(_ cells: [Cell]) {
        let names = Set(cells.map(\.metric)).sorted().joined(separator: ",")
        listeners.withLock { for continuation in $0.values { continuation.yield(names) } }
    }

    func listen() -> AsyncStream<String>? {
        let key = nextKey.withLock { key in
            key += 1
            return key
        }
        let (stream, continuation) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(8))
        let taken = listeners.withLock { all -> Bool in
            guard all.count < Self.limit else { return false }
            all[key] = continuation
            return true
        }
        guard taken else { return nil }
        continuation.onTermination = { [weak self] _ in self?.listeners.withLock { $0[key] = nil } }
        return stream
    }
}
