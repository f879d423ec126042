import CommerceML
import Contracts
import Primitives
import ServiceKit
import XMLStream

/// An order of an internet shop as its CommerceML document tells it, made into what a client said: who he is, what he wants, and whatever else the shop knows.
struct ShopOrder {
    let number: String
    /// What tells this content from another one of the same order.
    let digest: String
    let at: Timestamp?
    let sender: Sender
    let text: String
    let answers: [String: String]

    /// Characters of a value that is kept as an answer, and answers, at most; the document itself is kept whole.
    private static let answerLimit = 500
    private static let answerCount = 60
    /// Bytes of the text, and of all answers together: what a message may hold.
    private static let textLimit = 60 * 1024
    private static let answersLimit = 48 * 1024
    /// Goods that the text names.
    private static let lineCount = 100

    /// - Parameter digest: of the document.
    /// - Throws: `XMLRefusal` when it is no order, or has no number.
    init(_ document: XMLElement, digest: String) throws {
        let operation = document.value("ХозОперация") ?? "Заказ товара"
        guard operation.lowercased() == "заказ товара" else {
            throw XMLRefusal(reason: "документ «\(operation)» — не заказ товара", isIncomplete: false)
        }
        guard let number = Self.number(of: document), number.utf8.count <= 100 else {
            throw XMLRefusal(reason: "у заказа нет номера, или он длиннее 100 байт", isIncomplete: false)
        }
        self.number = number
        self.digest = digest
        at = Self.moment(document)
        let buyer = Self.buyer(document)
        sender = Self.sender(buyer)
        let word = document.value("Валюта")
        let currency = word.map { Currency(onec: $0)?.code ?? $0 }
        let total = document.value("Сумма").map { [$0, currency].compactMap { $0 }.joined(separator: " ") }
        let goods = (document.first("Товары")?.all("Товар") ?? []).map { Self.line($0) }
        var words = ["Заказ № \(number)" + (total.map { " на \($0)" } ?? "")]
        words += goods.prefix(Self.lineCount)
        if goods.count > Self.lineCount { words.append("… и ещё \(goods.count - Self.lineCount)") }
        if let comment = document.value("Комментарий") { words.append(comment) }
        text = Self.cut(words.joined(separator: "\n"), bytes: Self.textLimit)
        var (answers, weight) = ([String: String](), 0)
        func add(_ name: String, _ value: String?) {
            guard let value = value?.nonEmpty, answers.count < Self.answerCount else { return }
            let (name, answer) = (String(name.prefix(100)), String(value.prefix(Self.answerLimit)))
            weight += name.utf8.count + answer.utf8.count
            guard weight <= Self.answersLimit else { return }
            answers[name] = answer
        }
        add("Сумма", total)
        add("ИНН", buyer?.value("ИНН"))
        add("КПП", buyer?.value("КПП"))
        add("Адрес", buyer?.anywhere("Представление")?.text)
        for (name, value) in document.requisites.sorted(by: { $0.key < $1.key }) { add(name, value) }
        self.answers = answers
    }

    static func number(of document: XMLElement) -> String? { document.value("Номер") ?? document.value("Ид") }

    private static func cut(_ text: String, bytes: Int) -> String {
        guard text.utf8.count > bytes else { return text }
        var (out, size) = ("", 0)
        for character in text {
            size += character.utf8.count
            guard size <= bytes else { break }
            out.append(character)
        }
        return out + "…"
    }

    /// Its talk, by the channel's name for it.
    var conversation: String { "order:\(number)" }

    /// The message that it is. The same order told otherwise goes on in the same talk.
    ///
    /// - Parameter place: how many messages the talk has already: an order may become again what it was.
    func body(channel: String, place: Int64) throws -> MessagesAPI.Body {
        func object(_ pairs: [(String, String?)]) -> RawJSON {
            .object(pairs.reduce(into: [:]) { $0[$1.0] = $1.1.map { .string($0) } })
        }
        var fields: [String: RawJSON] = [
            "channel": .string(channel), "conversationId": .string(conversation),
            "messageId": .string("\(digest)#\(place)"), "text": .string(text), "externalOrderNumber": .string(number),
            "sender": object([("name", sender.name), ("phone", sender.phone), ("email", sender.email)]),
            "answers": .object(answers.mapValues { .string($0) }),
        ]
        fields["sentAt"] = at.map { .string($0.description) }
        return try JSON.decode(MessagesAPI.Body.self, from: JSON.encode(RawJSON.object(fields)))
    }

    /// «Дата» and «Время»; a shop's clock has no zone, the company's is taken.
    private static func moment(_ document: XMLElement) -> Timestamp? {
        guard let day = document.value("Дата")?.prefix(10) else { return nil }
        return LocalTime.moment("\(day)T\(document.value("Время") ?? "00:00:00")")
    }

    private static func buyer(_ document: XMLElement) -> XMLElement? {
        let parties = document.first("Контрагенты")?.all("Контрагент") ?? []
        return parties.first { $0.value("Роль") == "Покупатель" } ?? parties.first
    }

    private static func sender(_ buyer: XMLElement?) -> Sender {
        let contacts = (buyer?.first("Контакты")?.all("Контакт") ?? []).map {
            (($0.value("Тип") ?? "").lowercased(), $0.value("Значение"))
        }
        func contact(_ kinds: String...) -> String? {
            contacts.first { contact in kinds.contains { contact.0.contains($0) } }?.1.map { String($0.prefix(200)) }
        }
        let whole = [buyer?.value("Фамилия"), buyer?.value("Имя"), buyer?.value("Отчество")].compactMap { $0 }
        let name =
            buyer?.value("ПолноеНаименование") ?? buyer?.value("ОфициальноеНаименование")
            ?? (whole.isEmpty ? nil : whole.joined(separator: " ")) ?? buyer?.value("Наименование")
        return Sender(
            id: nil, name: name.map { String($0.prefix(250)) }, phone: contact("телефон"),
            email: contact("почта", "mail"))
    }

    private static func line(_ good: XMLElement) -> String {
        let article = good.value("Артикул").map { " (\($0))" } ?? ""
        let sum = good.value("Сумма").map { " = \($0)" } ?? ""
        return
            "– \(good.value("Наименование") ?? good.value("Ид") ?? "?")\(article) × \(good.value("Количество") ?? "1")\(sum)"
    }
}
