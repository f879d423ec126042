import Contracts
import Postgres
import Primitives

/// Who changed a document, a card or a good (ONEC-15), read of the versions that a base keeps of its objects. It is asked only for what has changed, and what
/// it does not tell holds up nothing: a change without its author is a change all the same.
extension ODataDriver {
    /// Characters of a name that are kept.
    private static let nameLimit = 100
    /// Cards of one answer whose authors are asked for: the rest are told without.
    private static let cardLimit = 50

    /// Nil when the base has no versions, or does not publish them.
    private var versions: ODataVersions? {
        mapping.versions.flatMap { known.absent.contains($0.entity) ? nil : ODataVersions(versions: $0) }
    }

    var tellsAuthors: Bool { versions != nil && known.mayAskAuthors }

    func findAuthors(of changes: [ToldChange], _ wire: ExchangeWire) async throws -> [FoundAuthor] {
        guard let versions else { return [] }
        var (objects, found): ([ID: ODataVersions.Object], [FoundAuthor]) = ([:], [])
        for change in changes {
            // Of a kind that cannot be read now it is asked another time.
            guard let entities = entities(of: change.kind) else { continue }
            if ID(change.onecId) == nil || entities.isEmpty {
                found.append(FoundAuthor(change: change.id, finding: .unknown("нет ключа 1С")))
            } else {
                objects[change.id] = .init(
                    key: change.onecId.lowercased(), entities: entities, since: change.since, until: change.until)
            }
        }
        let authors = try await authors(of: Set(objects.values), versions, wire)
        return found
            + objects.compactMap { change, object in authors[object].map { .init(change: change, finding: $0) } }
    }

    /// What has changed of cards that we know, with who changed it.
    func withAuthors(_ cards: [ClientCard], _ wire: ExchangeWire) async throws -> [ClientCard] {
        guard let versions, !cards.isEmpty else { return cards }
        let now = Timestamp.now()
        let objects = try await ClientCards.changed(cards, base.base, in: pool).prefix(Self.cardLimit).map { change in
            ODataVersions.Object(
                key: change.onecId.lowercased(), entities: [mapping.counterparty.entity], since: change.since,
                until: now)
        }
        let authors = try await authors(of: Set(objects), versions, wire)
        let byKey = Dictionary(authors.map { ($0.key, $1) }) { first, _ in first }
        return cards.map { card in
            guard case .found(let name, let at)? = byKey[card.onecId.lowercased()] else { return card }
            var card = card
            card.changedBy = "\(name), \(HumanText.moment(at))"
            return card
        }
    }

    /// Nil when one of them cannot be read.
    private func entities(of kind: String) -> [String]? {
        if kind == DocumentChange.order { return [mapping.order.entity] }
        if kind == ToldChange.good { return [mapping.good.entity] }
        let parts = mapping.documents.filter { $0.kind == kind && !known.absent.contains($0.place) }
        return parts.allSatisfy { isReadable($0.place) } ? Set(parts.map(\.entity)).sorted() : nil
    }

    private static let noVersion = FoundAuthor.Finding.unknown(
        "1С не хранит версии этого объекта: включите для него историю изменений")

    /// Of each object that the base has answered about; what it does not answer now is asked again after a while.
    private func authors(
        of objects: Set<ODataVersions.Object>, _ versions: ODataVersions, _ wire: ExchangeWire
    ) async throws -> [ODataVersions.Object: FoundAuthor.Finding] {
        var found: [ODataVersions.Object: FoundAuthor.Finding] = [:]
        guard known.mayAskAuthors else { return found }
        // Not always in the same order: one that the base chokes on keeps the others from being asked only once.
        for some in questions(objects.shuffled(), versions.filter) where known.mayAskAuthors {
            do {
                found.merge(try await authors(apart: some, versions, wire)) { first, _ in first }
            } catch is DriverFailure {
                known.restAuthors()
                break
            }
        }
        return found
    }

    /// One that the base refuses stands alone with its refusal.
    private func authors(
        apart objects: [ODataVersions.Object], _ versions: ODataVersions, _ wire: ExchangeWire
    ) async throws -> [ODataVersions.Object: FoundAuthor.Finding] {
        var found: [ODataVersions.Object: FoundAuthor.Finding] = [:]
        do {
            let rows = try await client.rows(
                "odata.versions", versions.versions.entity, filter: versions.filter(objects),
                orderBy: "\(versions.versions.object),\(versions.versions.number)", select: versions.fields, wire: wire
            ).rows
            for object in objects {
                let version = versions.newest(rows, of: object)
                found[object] = if let version { try await finding(version, wire) } else { Self.noVersion }
            }
        } catch DriverFailure.refused(let why) {
            let refusal = FoundAuthor.Finding.unknown("1С не показывает историю изменений: \(why)")
            guard objects.count > 1 else { return [objects[0]: refusal] }
            for object in objects {
                found.merge(try await authors(apart: [object], versions, wire)) { first, _ in first }
                // It is not one of them that ails.
                if found.count == 1, found[object] == refusal {
                    known.restAuthors()
                    return Dictionary(objects.map { ($0, refusal) }) { first, _ in first }
                }
            }
        }
        return found
    }

    private func finding(_ version: ODataVersions.Version, _ wire: ExchangeWire) async throws -> FoundAuthor.Finding {
        guard let author = version.author else { return .unknown("в версии документа 1С не назван её автор") }
        let question = "\(author.entity)/\(author.key)"
        if let name = known.key(question) { return .found(name: name, at: version.at) }
        // Asked for what it does not have the base ends the session: once is enough until the next check.
        if let why = known.nameless(author.entity) { return .unknown(why) }
        do {
            let row = try await client.one(
                "odata.author", author.entity, author.key, select: ["Description"], wire: wire)
            guard let row else { return .unknown("автора изменения в 1С больше нет") }
            guard let name = row["Description"]?.stringValue?.withoutNUL.trimmed.nonEmpty else {
                return .unknown("у автора изменения в 1С нет имени")
            }
            known.keep(question, String(name.prefix(Self.nameLimit)))
            return .found(name: String(name.prefix(Self.nameLimit)), at: version.at)
        } catch let failure as DriverFailure where failure.isAnswer {
            let why = "1С не показывает имя автора изменения: \(failure.words)"
            if case .unfit = failure { known.keep(nameless: author.entity, why) }
            return .unknown(why)
        }
    }
}
