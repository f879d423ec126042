import Contracts
import Primitives
import ServiceKit

/// An order's card on its deal's page.
extension DealPages {
    /// «оплата: частично, долг 70 000 ₽»; nothing while nobody has to pay.
    static func payment(_ deal: DealView, _ language: Language) -> String {
        guard let state = deal.payment else { return "" }
        let owed = deal.owed.map { HumanText.money($0, language) }.joined(separator: " + ")
        return "\(ScreenTexts.word("payment", language)): \(StateWords.payment(state, language))"
            + (owed.isEmpty ? "" : ", \(ScreenTexts.word("owed", language)) \(owed)")
    }

    static func sells(_ caller: Caller) -> Bool {
        caller.isAdmin || !caller.roles.isDisjoint(with: ["manager", "head"])
    }

    static func fields(_ order: OrderView, _ caller: Caller, _ language: Language) -> [String: Any] {
        let keepsBooks = caller.isAdmin || !caller.roles.isDisjoint(with: ["accountant", "head"])
        let writes = order.base == OwnBooks.name && keepsBooks
        func sum(_ money: Money?, _ state: String) -> String {
            money.map { HumanText.money($0, language) } ?? StateWords.payment(state, language)
        }
        return [
            "id": order.id.description, "number": order.number,  // One that was made there is called by it already.
            "onec": order.origin == "onec" ? "" : order.onecNumber ?? "",
            "byHand": writes, "entryKey": ID.make().description,
            "kinds": OwnBooks.kinds.map { ["key": $0, "value": StateWords.document($0, language)] },
            "status": StateWords.order(order.status, language, isOurs: order.base == OwnBooks.name),
            "failure": order.failure ?? "",
            "total": HumanText.money(order.total ?? order.askedTotal, language),
            "paid": sum(order.paid, order.payment), "shipped": sum(order.shipped, order.shipment),
            "payment": StateWords.payment(order.payment, language),
            "untold": order.returnedUnknown == OrderState.unpricedReturns
                ? ScreenTexts.word("returnsUnknown", language) : "",
            "overdue": order.overdue ? order.dueDate.map { HumanText.day($0) } ?? "" : "",
            "owed": order.owed.flatMap { $0.minor > 0 ? HumanText.money($0, language) : nil } ?? "",
            "revenue": order.revenue.map { HumanText.money($0, language) } ?? "",
            "cost": order.cost.map { HumanText.money($0, language) } ?? "",
            "margin": order.margin.map { HumanText.money($0, language) } ?? "",
            "share": order.marginShare.map { "\(Int($0.rounded())) %" } ?? "",
            "unknown": order.paidUnknown == nil || order.payment == "full"
                ? "" : ScreenTexts.word("paymentsUnknown", language),
            "isBorn": order.origin == "onec",
            "mayUnlink": order.origin == "onec" && order.dealId != nil && Self.sells(caller),
            "mayCancel": order.origin == "crm" && ["requested", "sent", "accepted", "failed"].contains(order.status)
                && !order.changes.contains { $0.state == "asked" }
                && Self.sells(caller),
            "changes": order.changes.map {
                [
                    "words": ScreenTexts.word("change.\($0.kind).\($0.state)", language),
                    "changeReason": $0.reason ?? "", "changeBy": $0.by, "changeAt": LocalTime.text($0.at),
                ]
            },
            "bookingId": order.bookingId ?? "",
            "mayAskReceipts": order.base != OwnBooks.name,
            "invoiceState": StateWords.invoice(order.invoice.state, language),
            "invoiceNumber": order.invoice.number ?? "",
            "invoiceSteps": order.invoice.history.map {
                [
                    "stepState": StateWords.invoice($0.state, language), "stepAt": LocalTime.text($0.at),
                    "stepBy": $0.by,
                    "stepSource": StateWords.source($0.source, language), "stepNote": $0.note ?? "",
                ]
            },
            "invoiceSaid": order.invoice.said.map {
                [
                    "stepState": StateWords.invoice($0.state, language), "stepAt": LocalTime.text($0.at),
                    "stepBy": $0.by,
                    "stepNote": $0.note ?? "",
                ]
            },
            "invoiceWords": Self.invoiceWords(order, caller, language),
            "flags": order.flags.map {
                [
                    "sign": $0.done ? "✓" : "…", "department": $0.department,
                    "words": [$0.by, $0.at.map { LocalTime.text($0) }].compactMap { $0 }.joined(separator: ", "),
                ]
            },
            "documents": order.documents.map {
                [
                    "kind": StateWords.document($0.kind, language), "documentNumber": $0.number ?? "",
                    "date": $0.date.map { HumanText.day($0) } ?? "",
                    "documentAmount": $0.amount.map { HumanText.money($0, language) } ?? "",
                    "exchange": $0.exchangeId?.description ?? "", "onecLink": $0.link ?? "",
                    "off": $0.cancelled && $0.base == OwnBooks.name
                        ? ScreenTexts.word("takenBack", language)
                        : $0.cancelled || !$0.posted
                            ? ScreenTexts.word("notPosted", language)
                            : $0.counts ? "" : "\(ScreenTexts.word("otherBooks", language)) (1С \($0.base))",
                    "document": writes && !$0.cancelled ? $0.onecId : "",
                ]
            },
        ]
    }

    /// What a person may say of the invoice now: the next word, and what was said by mistake.
    private static func invoiceWords(_ order: OrderView, _ caller: Caller, _ language: Language) -> [[String: Any]] {
        guard order.invoice.isOpen, caller.isAdmin || !caller.roles.isDisjoint(with: ["manager", "head"]) else {
            return []
        }
        return InvoiceState.Mark.allCases.map { mark in
            let isSaid = order.invoice.said.contains { $0.state == mark.rawValue }
            return [
                "mark": mark.rawValue, "undo": isSaid,
                "markWords": ScreenTexts.word("invoice.\(isSaid ? "un" : "")\(mark.rawValue)", language),
            ]
        }
    }
}
