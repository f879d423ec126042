import Primitives

/// What becomes of a client's field when 1C's card says something new (rule 1 of the domain: every kind of data has one owner).
enum ClientTruth {
    enum Verdict: Equatable {
        /// Both say the same, or 1C says nothing new.
        case nothing
        /// Only 1C has changed it: its value is taken.
        case taken
        /// Both have changed it; the owner's value stays.
        case conflict(keepsOurs: Bool, rule: String)
    }

    /// Whose word a field of a client's is (ONEC-07).
    enum Owner: String, CaseIterable, Sendable {
        /// The CRM's alone: what 1C calls him is a conflict that changes nothing.
        case crm
        /// 1C's alone: once the client has a card there the CRM does not change it.
        case onec
        /// Whoever has changed it; where both have, the field's own rule decides.
        case both
    }

    /// Fields that a card and a client have in common. A name is given by whoever sells; requisites are 1C's.
    enum Field: String, CaseIterable, Sendable {
        case name, inn, kpp

        /// The value as a client may have it; nil for what is none.
        func usable(_ value: String?) -> String? {
            guard let value = value?.nonEmpty else { return nil }
            switch self {
            case .name: return String(value.prefix(250))
            case .inn: return TaxNumber(value) == nil ? nil : value
            case .kpp: return isKPP(value) ? value : nil
            }
        }

        var isOurs: Bool { self == .name }
        func rule(_ owner: Owner) -> String {
            switch owner {
            case .crm: "\(words): ведёт CRM"
            case .onec: "\(words): ведёт 1С"
            case .both: rule
            }
        }
        private var words: String { self == .name ? "имя клиента" : self == .inn ? "ИНН" : "КПП" }
        var rule: String {
            isOurs ? "имя клиента ведёт CRM" : "реквизиты (ИНН, КПП) ведёт 1С"
        }
    }

    /// - Parameters:
    ///   - ours: what the CRM has now.
    ///   - before: what the card said when we last heard of it; nil when we had not.
    ///   - now: what it says now.
    static func decide(
        _ field: Field, owner: Owner = .both, ours: String?, before: String?, now: String?, isFirst: Bool
    ) -> Verdict {
        guard let now, !now.isEmpty, now != ours else { return .nothing }
        if isFirst, ours != nil, owner == .onec { return .conflict(keepsOurs: false, rule: field.rule(owner)) }
        if isFirst {
            // Linked just now: what a card has and we have not is taken; a name stays as each side calls it, requisites that differ are seen.
            if ours == nil { return .taken }
            return field.isOurs ? .nothing : .conflict(keepsOurs: true, rule: "при связывании значения различались")
        }
        guard now != before else { return .nothing }
        if owner == .crm { return .conflict(keepsOurs: true, rule: field.rule(owner)) }
        if owner == .onec, ours != nil, ours != before {
            return .conflict(keepsOurs: false, rule: field.rule(owner))
        }
        return ours == nil || ours == before ? .taken : .conflict(keepsOurs: field.isOurs, rule: field.rule)
    }
}
