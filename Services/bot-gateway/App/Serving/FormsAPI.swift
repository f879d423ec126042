import Contracts
import Hummingbird
import Primitives
import ServiceKit
import Sodium

/// `POST /api/v1/forms/{channel}`: a site's form as a browser submits it, or the webhook of a site builder, with whatever names it has for its fields
/// (CON-05). What has a place of its own goes there, everything else is an answer.
struct FormsAPI: Sendable {
    let messages: MessagesAPI
    let access: AccessControl

    /// Fields of one form at most.
    private static let fieldLimit = 200

    /// Names under which a field is looked for, in small letters.
    private static let names: [String: [String]] = [
        "name": ["name", "fio", "имя", "фио", "ваше имя", "client_name", "username"],
        "phone": ["phone", "tel", "телефон", "ваш телефон", "client_phone", "mobile"],
        "email": ["email", "e-mail", "mail", "почта", "электронная почта"],
        "text": ["text", "message", "comment", "comments", "сообщение", "комментарий", "вопрос", "textarea"],
        "id": ["messageid", "tranid", "leadid", "id"],
        "order": ["ordernumber", "orderid", "order_id", "номер заказа"],
        "consent": ["consent", "agree", "agreement", "согласие"],
        "source": ["utm_source"], "medium": ["utm_medium"], "campaign": ["utm_campaign"], "content": ["utm_content"],
        "term": ["utm_term"], "ref": ["referer", "referrer"],
    ]
    private static let truths: Set = ["1", "on", "yes", "true", "да"]

    func add(to router: Router<ServiceRequestContext>) {
        router.post("/api/v1/forms/:channel") { request, context in
            let bytes = try await request.bytes(limit: MessagesAPI.bodyLimit)
            let (fields, isReadable) = fields(request, bytes)
            let caller = try caller(request, context, fields)
            guard isReadable, !fields.isEmpty else {
                try await messages.keep(bytes, caller)
                throw Problem.badRequest("the body is neither a form nor a JSON object of fields; it is kept")
            }
            guard fields.count <= Self.fieldLimit else {
                try await messages.keep(bytes, caller)
                throw Problem.invalid("a form has at most \(Self.fieldLimit) fields; it is kept")
            }
            let channel = try context.text("channel")
            var message = try Self.message(fields, channel)
            if let older = try await messages.talk(before: message) { message.conversationId = older }
            let accepted = try await messages.take(message, bytes, from: caller)
            guard request.headers[.accept]?.contains("text/html") == true else {
                return try Response.json(accepted, .accepted)
            }
            // A person has pressed the button.
            return Response.html(
                "<!doctype html><meta charset=\"utf-8\"><title>Спасибо</title><p>Спасибо, заявка принята.</p>")
        }
    }

    /// By the key in the header, or where a form and a webhook can have one: in a field, or in the address.
    private func caller(
        _ request: Request, _ context: ServiceRequestContext, _ fields: [String: String]
    ) throws -> Caller {
        if context.caller != nil { return try context.require("bot") }
        guard let key = request.query("key") ?? fields["key"], let caller = access.caller(bearer: key) else {
            return try context.require("bot")
        }
        guard caller.isAdmin || caller.roles.contains("bot") else { throw Problem.forbidden }
        return caller
    }

    private func fields(_ request: Request, _ bytes: [UInt8]) -> (fields: [String: String], isReadable: Bool) {
        guard request.headers[.contentType]?.lowercased().contains("json") == true else {
            return ((try? Form(request, body: bytes))?.fields ?? [:], true)
        }
        guard case .object(let object)? = try? JSON.decode(RawJSON.self, from: bytes) else { return ([:], false) }
        return (
            object.compactMapValues { value in
                switch value {
                case .string(let text): text
                case .null: nil
                default: value.text
                }
            }, true
        )
    }

    /// The message that a form is.
    static func message(_ fields: [String: String], _ channel: String) throws -> MessagesAPI.Body {
        var (known, answers) = ([String: String](), [String: String]())
        for (name, value) in fields where name != "key" && !value.isEmpty {
            let plain = name.lowercased().trimmed
            if let place = names.first(where: { $0.value.contains(plain) })?.key, known[place] == nil {
                known[place] = value
            } else {
                answers[name] = value
            }
        }
        // Without a number of its own the same form of the same day is the same: whoever has no answer sends it again.
        let whole = fields.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "\n")
        let id = known["id"] ?? base64URL(sha256(Array("\(LocalTime.day(.now()))\n\(whole)".utf8)))
        // Who types the same number under another name may be another person: he gets a line of his own, and is only proposed as the same.
        let name = known["name"].map { base64URL(Array(sha256(Array($0.lowercased().trimmed.utf8)).prefix(9))) }
        let who = [known["phone"].flatMap { Phone($0)?.e164 } ?? known["email"] ?? id, name].compactMap { $0 }
            .joined(separator: ":")
        func object(_ pairs: [(String, String?)]) -> RawJSON {
            .object(pairs.reduce(into: [:]) { $0[$1.0] = $1.1.map { .string($0) } })
        }
        var body: [String: RawJSON] = [
            "channel": .string(channel), "conversationId": .string("form:\(who)"), "messageId": .string(id),
            "sender": object([("name", known["name"]), ("phone", known["phone"]), ("email", known["email"])]),
            "answers": .object(answers.mapValues { .string($0) }),
            "attribution": object(["source", "medium", "campaign", "content", "term", "ref"].map { ($0, known[$0]) }),
        ]
        body["text"] = known["text"].map { .string($0) }
        body["externalOrderNumber"] = known["order"].map { .string($0) }
        if let word = known["consent"] {
            body["consent"] = .object(["given": .bool(truths.contains(word.lowercased())), "text": .string(word)])
        }
        return try JSON.decode(MessagesAPI.Body.self, from: JSON.encode(RawJSON.object(body)))
    }
}
