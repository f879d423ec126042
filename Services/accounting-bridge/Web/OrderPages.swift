import Hummingbird
import Messaging
import Mustache
import Primitives
import ServiceKit
import XMLStream

/// «Почему мне не выставили счёт?» in the browser: an order is found, its story told, and what was set aside done again.
struct OrderPages: Sendable {
    let stories: OrderStories
    let repair: Repair
    private let template: MustacheTemplate
    private let fallback: Language

    init(_ stories: OrderStories, repair: Repair, locale: String) throws {
        (self.stories, self.repair) = (stories, repair)
        fallback = Language(rawValue: locale) ?? .ru
        template = try MustacheTemplate(string: String(decoding: PackageResources.order_mustache, as: UTF8.self))
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/order-stories/:number") { _, context in
            try context.require("head", "manager", "accountant", "integrator", "reader")
            guard let story = try await stories.tell(try context.text("number")) else {
                throw Problem.notFound("order")
            }
            return try Response.json(story)
        }
        router.get("/journal/order/:number") { request, context in
            let caller = try context.require("head", "manager", "accountant", "integrator")
            guard let story = try await stories.tell(try context.text("number")) else {
                throw Problem.notFound("order")
            }
            return Response.html(template.render(filled(fields(story, request, caller))))
        }
        router.post("/journal/repair") { request, context in
            let caller = try context.require("accountant", "head", "integrator")
            let form = try await Form(request)
            guard let kind = form["kind"].flatMap({ Repair.Kind(rawValue: $0) }),
                let ref = form["ref"].flatMap({ ID($0) }),
                let number = form["number"], !number.isEmpty, number.utf8.count <= 2 * OrderReport.numberLimit
            else { throw Problem.badRequest("kind, ref and number are wanted") }
            let outcome: String
            do {
                let file = try await repair.prepare(kind, ref, after: nil)
                let done = try await repair.bus.transaction {
                    try await repair.attempt(kind, ref, file, by: caller.name, in: $0)
                }
                outcome = "done=\(Form.encoded(done))"
            } catch let refusal as Repair.Refused {
                outcome = "error=\(Form.encoded(refusal.reason))"
            } catch let refusal as XMLRefusal {
                outcome = "error=\(Form.encoded(refusal.reason))"
            }
            return Response(
                status: .seeOther, headers: [.location: "/journal/order/\(Form.encoded(number))?\(outcome)"])
        }
    }

    private func fields(_ story: OrderStory, _ request: Request, _ caller: Caller) -> [String: Any] {
        let language = request.language(fallback)
        let mayRepair = caller.isAdmin || !caller.roles.isDisjoint(with: ["accountant", "head", "integrator"])
        return [
            "t": JournalWords.all(language), "number": story.number, "onecNumber": story.onecNumber ?? "",
            "client": story.client, "onecLink": story.onecLink ?? "", "inn": story.inn ?? "", "base": story.base,
            "journey": story.journeyId?.description ?? "", "verdict": story.verdict, "isWrong": story.isWrong,
            "error": request.query("error") ?? "", "done": request.query("done") ?? "",
            "repairs": (mayRepair ? story.repairs : []).map {
                [
                    "csrf": request.headers[.formToken] ?? "", "kind": $0.kind, "ref": $0.ref.description,
                    "number": story.number, "reason": $0.reason,
                ]
            },
            "lines": story.lines.map {
                [
                    "sign": ["ok": "✓", "wrong": "✗"][$0.sign] ?? "…",
                    "colour": ["ok": "text-success", "wrong": "text-danger"][$0.sign] ?? "text-muted",
                    "words": $0.words,
                    "exchange": $0.exchangeId?.description ?? "", "at": LocalTime.text($0.at),
                ]
            },
        ]
    }
}
