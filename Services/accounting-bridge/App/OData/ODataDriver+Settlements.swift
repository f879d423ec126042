import Contracts
import Primitives

/// Whose order a payment is for, where payments name objects of settlements and not orders (УТ 11.5).
extension ODataDriver {
    /// The orders by their objects of settlements; nil where the mapping names none, or they cannot be read.
    func settlements(of keys: [String], _ wire: ExchangeWire) async throws -> [String: String]? {
        guard let settlements = mapping.settlements else { return nil }
        let state = ODataOrderState(mapping: mapping)
        return try await orders(settledBy: keys, { state.filter(settlements, orders: $0) }, wire)
    }

    /// Changed documents whose orders are looked for at once: the orders of more are read in their own time.
    private static let changeLimit = 500

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
        let found = try await orders(
            settledBy: Array(named.sorted().prefix(Self.changeLimit)),
            { $0.map { "Ref_Key eq guid'\($0)'" }.joined(separator: " or ") }, wire)
        return Set((found ?? [:]).values.filter { ID($0) != nil }.map { $0.lowercased() })
    }

    private func orders(
        settledBy keys: [String], _ filter: ([String]) -> String, _ wire: ExchangeWire
    ) async throws -> [String: String]? {
        guard let settlements = mapping.settlements, isReadable(settlements.entity) else { return nil }
        var found: [String: String] = [:]
        do {
            for some in questions(keys, filter) {
                let rows = try await client.rows(
                    "odata.state", settlements.entity, filter: filter(some), select: ["Ref_Key", settlements.order],
                    wire: wire
                ).rows
                for row in rows {
                    guard let key = row["Ref_Key"]?.stringValue, let order = row[settlements.order]?.stringValue else {
                        throw DriverFailure.refused("запись \(settlements.entity) не читается")
                    }
                    found[key] = order
                }
            }
        } catch DriverFailure.refused(let why) {
            passOver(settlements.entity, why)
            return nil
        }
        return found
    }
}
