import Contracts
import Primitives
import Sodium

/// Whose card an order is for, and what all cards say.
extension ODataDriver {
    /// 1C's key of the client: the link we have, else by INN and KPP, else made with our id as its key (rule 2 of the domain).
    func counterparty(_ who: Counterparty, _ wire: ExchangeWire) async throws -> String {
        if let linked = try await links.find(who.id) { return linked }
        let names = mapping.counterparty
        if let inn = who.inn {
            let filter = "\(names.inn) eq \(Self.literal(inn)) and DeletionMark eq false"
            let cards = try await client.rows(
                "odata.client", names.entity, filter: filter, select: ["Ref_Key", names.kpp], wire: wire
            ).rows.compactMap { row in
                row["Ref_Key"]?.stringValue.map { (key: $0, kpp: row[names.kpp]?.stringValue?.trimmed.nonEmpty) }
            }
            // Of the same КПП, or the only one, if it has none: a firm's branches differ by it.
            let same = cards.filter { who.kpp == nil || $0.kpp == who.kpp }
            let fits = same.isEmpty ? cards.filter { $0.kpp == nil } : same
            guard fits.count < 2, !fits.isEmpty || cards.isEmpty else {
                throw DriverFailure.refused(
                    "в 1С \(fits.isEmpty ? "другой КПП у контрагента" : "несколько контрагентов") с ИНН \(inn)\(who.kpp.map { ", КПП \($0)" } ?? ""): свяжите нужного на странице «Клиенты 1С»"
                )
            }
            if let card = fits.first {
                return try await links.keep(who.id, card.key, rule: card.kpp == nil ? "inn" : "inn+kpp")
            }
        }
        var fields = names.particulars(of: who).mapValues(\.json)
        fields["Ref_Key"] = .string(who.id.description)
        fields[names.name] = .string(String(who.name.prefix(100)))
        if let field = names.fullName { fields[field] = .string(who.name) }
        if let inn = who.inn { fields[names.inn] = .string(inn) }
        if let kpp = who.kpp { fields[names.kpp] = .string(kpp) }
        if let partner = names.partner { fields[partner.field] = .string(try await makePartner(who, partner, wire)) }
        do {
            let made = try await client.create("odata.client", names.entity, .object(fields), wire: wire)
            return try await links.keep(who.id, made["Ref_Key"]?.stringValue ?? who.id.description, rule: "made")
        } catch is ODataClient.EntityExists {
            return try await links.keep(who.id, who.id.description, rule: "made")
        }
    }

    /// The partner of a client who is new there: made under a key that his id decides, so that it is made once.
    private func makePartner(_ who: Counterparty, _ partner: ODataMapping.Partner, _ wire: ExchangeWire) async throws
        -> String
    {
        let key = ID(digest: sha256(Array("partner \(who.id)".utf8))).description
        var fields = (partner.set ?? [:]).merging((who.isFirm ? partner.firm : partner.person) ?? [:]) { $1 }
            .mapValues(\.json)
        fields["Ref_Key"] = .string(key)
        fields[partner.name] = .string(String(who.name.prefix(100)))
        if let field = partner.fullName { fields[field] = .string(who.name) }
        do {
            let made = try await client.create("odata.client", partner.entity, .object(fields), wire: wire)
            return made["Ref_Key"]?.stringValue ?? key
        } catch is ODataClient.EntityExists { return key }
    }

    /// The partner of a card that is there.
    func partnerKey(ofCard key: String, _ partner: ODataMapping.Partner, _ wire: ExchangeWire) async throws -> String {
        let question = "partner \(key)"
        if let known = known.key(question) { return known }
        let card = try await client.one(
            "odata.client", mapping.counterparty.entity, key, select: [partner.field], wire: wire)
        guard let found = card?[partner.field]?.stringValue, !ODataReference.isNone(found) else {
            throw DriverFailure.refused(
                card == nil
                    ? "карточки контрагента, с которой связан клиент, в 1С больше нет"
                    : "у контрагента в 1С не указан партнёр: укажите его в карточке")
        }
        known.keep(question, found)
        return found
    }

    func cards(from place: String?, _ wire: ExchangeWire) async throws -> ClientPage? {
        let names = mapping.counterparty
        let page = try await client.page(
            "odata.clients", names.entity, from: place.flatMap { ODataPlace($0) } ?? .start, select: cardFields,
            wire: wire)
        return ClientPage(
            cards: try await withAuthors(page.rows.compactMap(card), wire), next: page.next?.overlapping.text,
            exchange: page.exchange)
    }

    /// One card by its key; nil when there is none.
    func card(_ key: String, _ wire: ExchangeWire) async throws -> ClientCard? {
        guard ID(key) != nil else { return nil }
        return try await client.one(
            "odata.client", mapping.counterparty.entity, key, select: cardFields, wire: wire
        ).flatMap(card)
    }

    private var cardFields: [String] {
        let names = mapping.counterparty
        return ["Ref_Key", "DeletionMark", names.name, names.inn, names.kpp]
            + [names.fullName, names.group].compactMap { $0 }
    }

    /// The card that a row of the catalog is; nil for a group.
    private func card(_ row: RawJSON) -> ClientCard? {
        let names = mapping.counterparty
        if let group = names.group, row[group] == .bool(true) { return nil }
        return ClientCard(
            onecId: row["Ref_Key"]?.stringValue, name: row[names.name]?.stringValue,
            fullName: names.fullName.flatMap { row[$0]?.stringValue }, inn: row[names.inn]?.stringValue,
            kpp: row[names.kpp]?.stringValue, isDeleted: row["DeletionMark"] == .bool(true))
    }

    /// Cards among objects of which a base says that they have changed: a rename is known at once, and not when all are read again.
    func cards(among objects: [RawJSON]) -> [ClientCard] {
        objects.filter { $0["odata.type"]?.stringValue == "StandardODATA.\(mapping.counterparty.entity)" }
            .compactMap(card)
    }
}
