import Contracts
import Primitives

/// Whose order a payment is for, where payments name objects of settlements and not orders (УТ 11.5).
extension ODataDriver {
    /// The orders by their objects of settlements; nil where the mapping names none, or they cannot be read.
    func settlements(of keys: [String], _ wire: ExchangeWire) async throws -> [String: String]? {
        guard let settlements = mapping.settlements else { return nil }
        return try await orders(settledBy: ODataOrderState(mapping: mapping).filter(settlements, orders: keys), wire)
    }

    /// Keys of the orders that changed documents name through their objects of settlements.
    func ordersSettled(among objects: [RawJSON], _ wire: ExchangeWire) async throws -> Set<String> {
        let parts = Dictionary(
            mapping.documents.filter { $0.isSettled == true }.map { ("StandardODATA.\($0.entity)", $0) }
        ) { first, _ in first }
        guard !parts.isEmpty else { return [] }
        var named: Set<String> = []
        for object in objects {
            guard let part = object["odata.type"]?.stringValue.flatMap({ parts[$0] }) else { continue }
            var lines = [object]
            if let table = part.rows {
                guard case .array(let rows)? = object[table] else { continue }
                lines = rows
            }
            named.formUnion(lines.compactMap { $0[part.order]?.stringValue }.filter { ID($0) != nil })
        }
        var (rest, found) = (named.sorted()[...], Set<String>())
        while !rest.isEmpty {
            let filter = rest.prefix(Self.questionSize).map { "Ref_Key eq guid'\($0)'" }.joined(separator: " or ")
            rest = rest.dropFirst(Self.questionSize)
            found.formUnion(try await orders(settledBy: filter, wire)?.values.map { $0.lowercased() } ?? [])
        }
        return found
    }

    private func orders(settledBy filter: String, _ wire: ExchangeWire) async throws -> [String: String]? {
        guard let settlements = mapping.settlements, isReadable(settlements.entity) else { return nil }
        do {
            let rows = try await client.rows(
                "odata.state", settlements.entity, filter: filter, select: ["Ref_Key", settlements.order], wire: wire
            ).rows
            let pairs = rows.compactMap { row in
                row["Ref_Key"]?.stringValue.flatMap { key in row[settlements.order]?.stringValue.map { (key, $0) } }
            }
            return Dictionary(pairs) { first, _ in first }
        } catch DriverFailure.refused(let why) {
            passOver(settlements.entity, why)
            return nil
        }
    }
}
