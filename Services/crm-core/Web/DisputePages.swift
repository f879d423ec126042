import Contracts
import Hummingbird
import Primitives
import ServiceKit

/// `/disputes`: what departments dispute about, ready to be settled, and the comparison of books, CRM and report.
struct DisputePages: Sendable {
    let disputes: Disputes
    let comparison: NightlyComparison
    private let atWork = ComparisonAtWork()
    let sessions: Sessions
    let renderer: PageRenderer

    private struct Lists: AnswerShape {
        let wonUnpaid, partlyUnchanged: [Disputes.Row]
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/disputes") { _, context in
            try context.require("head", "accountant", "reader")
            return try Response.json(
                Lists(wonUnpaid: try await disputes.wonUnpaid(), partlyUnchanged: try await disputes.partlyUnchanged()))
        }
        router.get("/api/v1/reconciliation") { request, context in
            try context.require("head", "accountant")
            do {
                return try Response.json(
                    try await comparison.reconciliation.run(session: try OtherServices.session(request, context)))
            } catch is OtherServices.Away {
                throw Problem(.badGateway, "away", "accounting-bridge or bi-aggregator does not answer")
            }
        }
        router.get("/api/v1/reconciliation/runs") { request, context in
            try context.require("head", "accountant", "reader")
            let runs = try await NightlyComparison.list(comparison.bus.pool, limit: try request.limit())
            return try Response.json(Page(items: runs, next: nil))
        }
        router.post("/api/v1/reconciliation/runs") { _, context in
            let caller = try context.require("head", "accountant")
            guard let run = try await comparison.run(by: caller.name, keepsFailure: true) else {
                throw Problem(.badGateway, "away", "accounting-bridge or bi-aggregator does not answer")
            }
            return try Response.json(run, .created)
        }
        router.post("/disputes/ask") { request, context in
            let caller = try context.person()
            try context.require("head", "accountant")
            let form = try await Form(request)
            try sessions.checkCSRF(form["csrf"], caller)
            let base = form["base"] ?? ""
            let session = try OtherServices.session(request, context)
            _ = try? await comparison.reconciliation.others.post(
                .accountingBridge, "/api/v1/bases/\(Form.encoded(base))/read-again", .object([:]), session: session)
            return Response.redirect("/disputes?check=1")
        }
        router.get("/disputes") { request, context in
            let caller = try context.person()
            try context.require("head", "accountant")
            let session = try OtherServices.session(request, context)
            return try await renderer.page(
                "disputes", title: ScreenTexts.word("disputes", renderer.language(request)),
                try await fields(request, caller, session), request, caller)
        }
    }

    private func fields(
        _ request: Request, _ caller: Caller, _ session: String
    ) async throws -> [String: Any] {
        let language = renderer.language(request)
        var reports = [
            report("wonUnpaid", try await disputes.wonUnpaid().map { Self.fields($0, language) }, language),
            report("partlyUnchanged", try await disputes.partlyUnchanged().map { Self.fields($0, language) }, language),
        ]
        var away = ""
        do {
            reports.insert(try await paidUnseen(session, language), at: 1)
            reports.append(try await claims(session, language))
            reports.append(try await lateChanges(session, language))
        } catch is OtherServices.Away { away = ScreenTexts.word("sectionAway", language) }
        var fields: [String: Any] = ["reports": reports, "mayReplay": caller.mayReplay]
        if let check = request.query("check") {
            do {
                let found = try await atWork.answer(anew: check != "wait") {
                    try await comparison.reconciliation.run(session: session)
                }
                if let found {
                    fields.merge(compared(found, language)) { $1 }
                } else {
                    fields["isComparing"] = true
                }
            } catch let problem as Problem {
                away = problem.detail ?? problem.title
            } catch is OtherServices.Away { away = ScreenTexts.word("sectionAway", language) }
        }
        fields["away"] = away
        if let night = try await NightlyComparison.list(comparison.bus.pool, limit: 1).first {
            let words =
                night.failed
                ?? language.pick(
                    "сверено документов \(night.checked), расхождений \(night.found)",
                    "\(night.checked) documents compared, \(night.found) differences")
            fields["night"] = "\(LocalTime.text(night.at)): \(words)"
            fields["nightWrong"] = night.failed != nil || night.found > 0
        }
        return fields
    }

    private func compared(_ answer: Reconciliation.Answer, _ language: Language) -> [String: Any] {
        [
            "compared": LocalTime.text(answer.at)
                + language.pick(
                    ". Сверено документов: \(answer.checked), расхождений: \(answer.found)",
                    ". Documents compared: \(answer.checked), differences: \(answer.found)"),
            "differences": answer.differences.map { difference($0, language) },
            "sources": answer.sources.map { source($0, language) },
        ]
    }

    private func report(_ name: String, _ rows: [[String: Any]], _ language: Language) -> [String: Any] {
        [
            "heading": ScreenTexts.word("dispute.\(name)", language), "rows": rows, "any": !rows.isEmpty,
            "count": "\(rows.count)",
        ]
    }

    private static func fields(_ row: Disputes.Row, _ language: Language) -> [String: Any] {
        let sums = [row.paid, row.amount].compactMap { $0 }.map { HumanText.money($0, language) }
        return [
            "what": "№ \(row.dealNumber) \(row.title)", "link": "/deals/\(row.dealId)", "who": row.responsible ?? "",
            "sums": sums.joined(separator: " / "), "words": row.words,
        ]
    }

    /// «Оплачено, менеджер не видит»: money that the bank shows and no order has, and answers of 1C that were not understood.
    private func paidUnseen(_ session: String, _ language: Language) async throws -> [String: Any] {
        let payments = try await items("/api/v1/bank-payments?state=unmatched&limit=100", session)
        let parked = try await items("/api/v1/parked?limit=100", session)
        let rows = payments.map { payment -> [String: Any] in
            [
                "what": payment["payer"]?["name"]?.stringValue ?? "—", "link": "/journal/bank",
                "sums": Self.money(payment["amount"], language), "words": payment["reason"]?.stringValue ?? "",
            ]
        }
        let unread = parked.filter { $0["number"]?.stringValue != nil }.map { item -> [String: Any] in
            let number = item["number"]?.stringValue ?? ""
            return [
                "what": "\(ScreenTexts.word("order", language)) № \(number)",
                "link": "/journal/order/\(Form.encoded(number))",
                "words": item["reason"]?.stringValue ?? "",
            ]
        }
        return report("paidUnseen", rows + unread, language)
    }

    /// «Изменено задним числом»: documents of the past that 1C has changed since it told of them.
    private func lateChanges(_ session: String, _ language: Language) async throws -> [String: Any] {
        report(
            "lateChanges",
            try await items("/api/v1/late-changes?limit=100", session).map { change in
                let number = change["orderNumber"]?.stringValue ?? ""
                let kind = ScreenTexts.word("document.\(change["kind"]?.stringValue ?? "")", language)
                let day = change["day"]?.stringValue.map { HumanText.day($0) } ?? ""
                return [
                    "what": "\(ScreenTexts.word("order", language)) № \(number)",
                    "link": "/journal/order/\(Form.encoded(number))",
                    "who": "\(kind) \(change["number"]?.stringValue ?? "") \(day)",
                    "words": Self.words(ofChange: change, language),
                ]
            }, language)
    }

    /// What was changed, and who did it, as far as that is known.
    private static func words(ofChange change: RawJSON, _ language: Language) -> String {
        let words = change["words"]?.stringValue ?? ""
        guard let who = change["by"]?.stringValue else {
            return words
                + (change["byUnknown"]?.stringValue.map {
                    language.pick(". Кто изменил, неизвестно: \($0)", ". Who did it is unknown: \($0)")
                } ?? "")
        }
        let at = change["byAt"]?.stringValue ?? ""
        let time =
            at.isEmpty ? "" : ", \(HumanText.moment(at)) \(language.pick("по часам 1С", "by 1C's clock"))"
        return words + language.pick(". Последним записал в 1С: \(who)\(time)", ". Last written in 1C by \(who)\(time)")
    }

    /// «Клиент говорит, что оплатил»: claims that nothing was found for.
    private func claims(_ session: String, _ language: Language) async throws -> [String: Any] {
        let open = try await items("/api/v1/payment-claims?limit=100", session).filter {
            !["matched", "told"].contains($0["finding"]?.stringValue)
        }
        return report(
            "claims",
            open.map { claim in
                [
                    "what": claim["orderNumber"]?.stringValue.map { "\(ScreenTexts.word("order", language)) № \($0)" }
                        ?? "—",
                    "link": "/journal/bank", "who": claim["by"]?.stringValue ?? "",
                    "sums": Self.money(claim["amount"], language),
                    "words": ScreenTexts.word("claim.\(claim["finding"]?.stringValue ?? "")", language),
                ]
            }, language)
    }

    private func items(_ path: String, _ session: String) async throws -> [RawJSON] {
        let answer = try await comparison.reconciliation.others.get(.accountingBridge, path, session: session)
        guard answer.status == 200 else { throw OtherServices.Away() }
        return answer.json["items"]?.items ?? []
    }

    private func difference(_ row: Reconciliation.Difference, _ language: Language) -> [String: Any] {
        func sum(_ money: Money?) -> String { money.map { HumanText.money($0, language) } ?? "—" }
        // What the CRM lacks the CRM takes again; what the report lacks the report does.
        let lacks = row.crm == row.books ? ServiceIdentity.biAggregator : .crmCore
        let parts = row.key.split(separator: "/")
        return [
            "client": row.client ?? "", "isBetweenBases": row.isBetweenBases == true,
            "order": row.orderNumber, "books": sum(row.books), "crm": sum(row.crm), "report": sum(row.report),
            "words": row.words, "key": row.key, "service": lacks.name,
            "text": parts.count > 2 ? String(parts[2]) : row.orderNumber,
        ]
    }

    /// How old what a base has told is.
    private func source(_ source: Reconciliation.Source, _ language: Language) -> [String: Any] {
        let at = source.lastTold.map { LocalTime.text($0) } ?? "—"
        let words =
            source.unread > 0
            ? language.pick(
                "ещё не спрошена о заказах: \(source.unread)", "still to be asked for orders: \(source.unread)")
            : source.isAsked
                ? language.pick("спрошена \(at)", "asked \(at)")
                : language.pick("сообщает сама, последний раз \(at)", "tells by itself, last \(at)")
        return ["base": source.base, "words": words, "isAsked": source.isAsked]
    }

    private static func money(_ json: RawJSON?, _ language: Language) -> String {
        guard let amount = json?["amount"]?.stringValue else { return "" }
        return HumanText.money(amount, json?["currency"]?.stringValue ?? "", language)
    }
}
