import Contracts
import Primitives

/// Which goods of the base an order's lines mean: by a person's word, by article, by barcode, or by name where a line has no article (ONEC-09); and what
/// all goods are called.
extension ODataDriver {
    /// The keys of the lines' goods.
    ///
    /// - Throws: ``DriverFailure/refused(_:)`` for the first that 1C does not know, or knows twice; a person is asked which one is meant.
    func goods(_ order: OrderRequested, _ wire: ExchangeWire) async throws -> [String] {
        let links = GoodLinks(pool: pool)
        let keys = order.lines.map { GoodLinks.key(sku: $0.sku, name: $0.name) }
        let said = try await links.links(base.base, keys)
        var known: [String: String] = [:]
        for (line, key) in zip(order.lines, keys) where known[key] == nil {
            if let good = said[key] {
                known[key] = good
                continue
            }
            let question = "good \(key)"
            if let good = self.known.key(question) {
                known[key] = good
                continue
            }
            let found = try await candidates(line, wire)
            guard found.count == 1 else {
                let what =
                    line.sku.isEmpty
                    ? "товара с названием «\(line.name)»"
                    : "товара с артикулом\(Self.isBarcode(line.sku) ? " или штрихкодом" : "") «\(line.sku)»"
                let reason =
                    found.isEmpty
                    ? "в 1С нет \(what)"
                    : "в 1С не одна запись для \(what): выберите её на странице «Товары 1С» или оставьте одну"
                try await links.ask(base.base, line, order: order.number, reason, found)
                throw DriverFailure.refused(reason)
            }
            known[key] = found[0].id
            self.known.keep(question, found[0].id)
        }
        try await links.settle(base.base, keys)
        return keys.compactMap { known[$0] }
    }

    /// Goods that a line may mean: those of its article, else of its barcode; of one without an article those of its name.
    private func candidates(_ line: OrderLine, _ wire: ExchangeWire) async throws -> [GoodLinks.Candidate] {
        guard !line.sku.isEmpty else { return try await goods("Description eq \(Self.literal(line.name))", wire) }
        let own = try await goods("\(mapping.good.sku) eq \(Self.literal(line.sku))", wire)
        guard own.isEmpty, let codes = mapping.good.barcodes, !known.absent.contains(codes.entity),
            Self.isBarcode(line.sku)
        else { return own }
        let marked = try await client.rows(
            "odata.find", codes.entity, filter: "\(codes.code) eq \(Self.literal(line.sku))", orderBy: codes.code,
            select: [codes.good], wire: wire
        ).rows.compactMap { $0[codes.good]?.stringValue.flatMap { ID($0) } }
        var found: [GoodLinks.Candidate] = []
        for key in Set(marked).sorted().prefix(GoodLinks.candidateLimit) {
            found += try await goods("Ref_Key eq guid'\(key)'", wire)
        }
        return found
    }

    private func goods(_ filter: String, _ wire: ExchangeWire) async throws -> [GoodLinks.Candidate] {
        let isGood = goodsGroup.map { " and \($0) eq false" } ?? ""
        return try await client.rows(
            "odata.find", mapping.good.entity, filter: "\(filter) and DeletionMark eq false\(isGood)",
            select: ["Ref_Key", "Description", mapping.good.sku], wire: wire
        ).rows.compactMap { row in
            row["Ref_Key"]?.stringValue.map {
                .init(
                    id: $0, name: row["Description"]?.stringValue ?? "",
                    sku: row[mapping.good.sku]?.stringValue?.nonEmpty)
            }
        }
    }

    /// The field that marks a group, where the base has it.
    private var goodsGroup: String? { isReadable(mapping.good.entity) ? mapping.good.group : nil }

    // MARK: all of them

    /// Nil when the base does not show them: orders find theirs all the same, or are refused by name.
    func goods(from place: String?, _ wire: ExchangeWire) async throws -> ToldGoods? {
        let (good, asOf) = (mapping.good, Timestamp.now())
        guard isReadable(good.entity) else { return nil }
        do {
            let page = try await client.page(
                "odata.goods", good.entity, from: place.flatMap { ODataPlace($0) } ?? .start,
                select: ["Ref_Key", "Description", "DeletionMark", good.sku] + [good.group].compactMap { $0 },
                wire: wire)
            return ToldGoods(
                goods: page.rows.compactMap(told), asOf: asOf, next: page.next?.overlapping.text,
                exchange: page.exchange)
        } catch DriverFailure.refused(let why) {
            passOver(good.entity, why)
            return nil
        }
    }

    /// Goods among objects of which a base says that they have changed.
    func goods(among objects: [RawJSON]) -> [ToldGood] {
        objects.filter { $0["odata.type"]?.stringValue == "StandardODATA.\(mapping.good.entity)" }.compactMap(told)
    }

    /// The good that a row of the catalog is; nil for a group.
    private func told(_ row: RawJSON) -> ToldGood? {
        if let group = mapping.good.group, row[group] == .bool(true) { return nil }
        return ToldGood(
            id: row["Ref_Key"]?.stringValue, name: row["Description"]?.stringValue,
            sku: row[mapping.good.sku]?.stringValue, isDeleted: row["DeletionMark"] == .bool(true))
    }

    /// EAN-8, UPC, EAN-13 or GTIN-14: digits alone.
    static func isBarcode(_ text: String) -> Bool {
        [8, 12, 13, 14].contains(text.utf8.count) && text.utf8.allSatisfy { (48...57).contains($0) }
    }
}
