import Contracts
import Postgres
import Primitives

/// Who changed a document or a card (ONEC-15), read of the versions that a base keeps of its objects. It is asked only for what has changed, and what
/// it does not tell holds up nothing: a change without its author is a change all the same.
extension ODataDriver {
    /// Characters of a name that are kept.
    private static let nameLimit = 100

    /// Nil when the base has no versions, or does not publish them.
    private var versions: ODataVersions? {
        mapping.versions.flatMap { known.absent.contains($0.entity) ? nil : ODataVersions(versions: $0) }
    }

    var tellsAuthors: Bool { versions != nil && known.mayAskAuthors }

    func findAuthors(of changes: [ToldChange], _ wire: ExchangeWire) async throws -> [FoundAuthor] {
        guard let versions else { return [] }
        var (objects, found): (Set<ODataVersions.Object>, [FoundAuthor]) = ([], [])
        for change in changes {
            let entities = entities(of: change.kind)
            if ID(change.onecId) == nil || entities.isEmpty {
                found.append(FoundAuthor(change: change.id, finding: .unknown("у документа нет ключа 1С")))
            } else {
                objects.insert(.init(key: change.onecId.lowercased(), entities: entities, since: change.since))
            }
        }
        guard let authors = try await authors(of: Array(objects), versions, wire) else { return found }
        let asked = Set(objects.map(\.key))
        return found
            + changes.filter { ID($0.onecId) != nil && asked.contains($0.onecId.lowercased()) }.map { change in
                FoundAuthor(change: change.id, finding: authors[change.onecId.lowercased()] ?? Self.noVersion)
            }
    }

    /// What has changed of cards that we know, with who changed it.
    func withAuthors(_ cards: [ClientCard], _ wire: ExchangeWire) async throws -> [ClientCard] {
        guard let versions, !cards.isEmpty else { return cards }
        let objects = try await ClientCards.changed(cards, base.base, in: pool).map { change in
            ODataVersions.Object(
                key: change.onecId.lowercased(), entities: [mapping.counterparty.entity], since: change.since)
        }
        guard let authors = try await authors(of: objects, versions, wire) else { return cards }
        return cards.map { card in
            guard case .found(let name, _)? = authors[card.onecId.lowercased()] else { return card }
            var card = card
            card.changedBy = name
            return card
        }
    }

    private func entities(of kind: String) -> [String] {
        kind == DocumentChange.order
            ? [mapping.order.entity]
            : mapping.documents.filter { $0.kind == kind && !known.absent.contains($0.entity) }.map(\.entity)
    }

    private static let noVersion = FoundAuthor.Finding.unknown(
        "1С не хранит версии этого документа: включите для него историю изменений")

    /// Nil when the base does not answer, which is asked again after a while.
    private func authors(
        of objects: [ODataVersions.Object], _ versions: ODataVersions, _ wire: ExchangeWire
    ) async throws -> [String: FoundAuthor.Finding]? {
        guard known.mayAskAuthors else { return nil }
        var (found, rest): ([String: FoundAuthor.Finding], ArraySlice) = ([:], objects[...])
        while !rest.isEmpty {
            let some = Array(rest.prefix(questionSize(rest, versions)))
            rest = rest.dropFirst(some.count)
            do { found.merge(try await authors(some, versions, wire)) { first, _ in first } } catch is DriverFailure {
                known.restAuthors()
                return nil
            }
        }
        return found
    }

    /// As many objects as one question has room for.
    private func questionSize(_ objects: ArraySlice<ODataVersions.Object>, _ versions: ODataVersions) -> Int {
        let longest = min(Self.questionSize, objects.count)
        return (1...longest).last {
            ODataClient.encoded(versions.filter(Array(objects.prefix($0)))).utf8.count <= Self.questionBytes
        } ?? 1
    }

    private func authors(
        _ objects: [ODataVersions.Object], _ versions: ODataVersions, _ wire: ExchangeWire
    ) async throws -> [String: FoundAuthor.Finding] {
        var found: [String: FoundAuthor.Finding] = [:]
        do {
            let rows = try await client.rows(
                "odata.versions", versions.versions.entity, filter: versions.filter(objects),
                orderBy: "\(versions.versions.object),\(versions.versions.number)", select: versions.fields, wire: wire
            ).rows
            for (key, version) in versions.newest(rows, of: objects) {
                found[key] = try await finding(version, wire)
            }
        } catch DriverFailure.refused(let why) {
            for object in objects { found[object.key] = .unknown("1С не показывает историю изменений: \(why)") }
        }
        return found
    }

    private func finding(_ version: ODataVersions.Version, _ wire: ExchangeWire) async throws -> FoundAuthor.Finding {
        guard let author = version.author else { return .unknown("в версии документа 1С не назван её автор") }
        let question = "\(author.entity)/\(author.key)"
        if let name = known.key(question) { return .found(name: name, at: version.at) }
        do {
            let row = try await client.one(
                "odata.author", author.entity, author.key, select: ["Description"], wire: wire)
            guard let name = row?["Description"]?.stringValue?.withoutNUL.trimmed.nonEmpty else {
                return .unknown("у автора изменения в 1С нет имени")
            }
            known.keep(question, String(name.prefix(Self.nameLimit)))
            return .found(name: String(name.prefix(Self.nameLimit)), at: version.at)
        } catch DriverFailure.refused(let why) { return .unknown("1С не показывает имя автора изменения: \(why)") }
    }
}
