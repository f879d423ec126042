import Contracts
import Primitives

/// Who wrote objects of a base, by the versions that it keeps of them: pure, so that it is tried with every kind of row.
///
/// The register is that of 1C's «Библиотека стандартных подсистем», which УТ 11, БП 3.0 and УНФ are built upon: dimensions `Объект` and `НомерВерсии`, the
/// author being a user, an outside user or a node of an exchange plan (github.com/1c-syntax/ssl_3_1, `InformationRegisters/ВерсииОбъектов.xml`). Whether it
/// keeps versions of a kind of object, and for how long, is a setting in the base.
struct ODataVersions: Sendable {
    let versions: ODataMapping.Versions

    /// An object whose author is wanted: its key, the entities one of which it is, and between when and when it was written.
    struct Object: Hashable, Sendable {
        let key: String
        let entities: [String]
        let since, until: Timestamp
    }

    struct Version: Sendable, Equatable {
        let number: Int64
        /// `2026-11-27T14:05:00`, by the base's clock.
        let at: String
        /// The entity and the key of whoever wrote it; nil when the version names nobody.
        let author: Author?
    }

    struct Author: Hashable, Sendable { let entity, key: String }

    /// Seconds by which a base's clock, which has no zone, may stand apart from ours.
    static let clockTolerance = 86_400.0

    var fields: [String] {
        [versions.object, versions.number, versions.at, versions.author, "\(versions.author)_Type", versions.kind]
    }

    /// Versions of any of the objects that are not older than the oldest of what is asked for.
    func filter(_ objects: [Object]) -> String {
        let wanted = Set(objects.flatMap { object in object.entities.map { names($0, object.key) } })
        let since = objects.map { Self.clock($0.since, -Self.clockTolerance) }.min() ?? ""
        return "(\(wanted.sorted().joined(separator: " or "))) and \(versions.at) ge datetime'\(since)'"
    }

    private func names(_ entity: String, _ key: String) -> String {
        "\(versions.object) eq cast(guid'\(key)', '\(entity)')"
    }

    /// The newest version of an object that came about by its being written when it is asked for.
    func newest(_ rows: [RawJSON], of object: Object) -> Version? {
        let begin = Self.clock(object.since, -Self.clockTolerance)
        let end = Self.clock(object.until, Self.clockTolerance)
        return rows.compactMap { row -> Version? in
            guard row[versions.object]?.stringValue?.lowercased() == object.key,
                let kind = row[versions.kind]?.stringValue, versions.kinds.contains(kind),
                let at = row[versions.at]?.stringValue, Self.isTime(at), at >= begin, at <= end,
                let number = Self.number(row[versions.number])
            else { return nil }
            return Version(number: number, at: String(at.prefix(19)), author: author(row))
        }.max { $0.number < $1.number }
    }

    private func author(_ row: RawJSON) -> Author? {
        let prefix = "StandardODATA."
        guard let key = row[versions.author]?.stringValue, ID(key) != nil,
            !ODataReference.isNone(key),
            let type = row["\(versions.author)_Type"]?.stringValue, type.hasPrefix(prefix)
        else { return nil }
        let entity = String(type.dropFirst(prefix.count))
        return entity.wholeMatch(of: /(Catalog|ExchangePlan)_\w{1,100}/) == nil ? nil : Author(entity: entity, key: key)
    }

    /// What a base's clock may have shown.
    private static func clock(_ time: Timestamp, _ apart: Double) -> String {
        String(time.adding(seconds: apart).description.prefix(19))
    }

    /// Numbers come as JSON numbers or, beyond what those hold, as texts.
    private static func number(_ value: RawJSON?) -> Int64? {
        switch value {
        case .int(let number): number
        case .string(let text): Int64(text)
        default: nil
        }
    }

    private static func isTime(_ text: String) -> Bool {
        text.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*/) != nil
    }
}
