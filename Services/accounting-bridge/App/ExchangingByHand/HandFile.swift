import Primitives

/// What a file of CommerceML holds, by its first elements.
struct HandFile: Sendable {
    enum Contents: Sendable { case orders, goods, other }
    private let files: ReceivedFiles

    init(_ files: ReceivedFiles) { self.files = files }

    /// Bytes that are looked at: what a file holds stands at its beginning.
    private static let lookedAt = 256 * 1024

    /// The file, or each of an archive.
    func parts(of place: ReceivedFiles.Place) async throws -> [(place: ReceivedFiles.Place, holds: Contents)] {
        guard try await files.startsAsArchive(place) else {
            var start: [UInt8] = []
            try await files.read(place) { bytes in
                if start.count < Self.lookedAt { start += bytes }
            }
            return [(place, Self.contents(start))]
        }
        var parts: [(ReceivedFiles.Place, Contents)] = []
        try await files.entries(of: place) { name, next in
            guard name.lowercased().hasSuffix(".xml") else { return }
            var start: [UInt8] = []
            while start.count < Self.lookedAt {
                let bytes = try next()
                if bytes.isEmpty { break }
                start += bytes
            }
            parts.append(
                (.init(session: place.session, filename: name, archive: place.filename), Self.contents(start)))
        }
        return parts
    }

    static func contents(_ start: [UInt8]) -> Contents {
        let text = ForeignText(ForeignText.wholeCharacters(start[...])).text
        if ["<Документ>", "<Документ ", "<Контейнер"].contains(where: { text.contains($0) }) { return .orders }
        let goods = ["<Каталог", "<ПакетПредложений", "<ИзмененияПакетаПредложений", "<Классификатор"]
        if goods.contains(where: { text.contains($0) }) { return .goods }
        // «Нет документов»: a file of orders in which there are none.
        return text.contains("<КоммерческаяИнформация") ? .orders : .other
    }
}
