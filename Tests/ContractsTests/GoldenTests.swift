import Contracts
import Foundation
import Testing

/// Each message has a golden file of its version: what stood in a log once is read for ever.
@Suite struct GoldenTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")

    @Test func everyTypeHasAGoldenFileAndEveryFileAType() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        #expect(Set(files) == Set(EveryContract.types.map { "\($0.type).json" }))
        let names = EveryContract.types.map { $0.type }
        #expect(names == names.sorted() && Set(names).count == names.count)
        #expect(names.allSatisfy { $0.wholeMatch(of: /[a-z]+(\.[a-z_]+)+\.v[0-9]+/) != nil })
    }

    @Test(arguments: EveryContract.types.map { $0.type })
    func aGoldenFileComesBackAsItWas(_ name: String) throws {
        let contract = try #require(EveryContract.types.first { $0.type == name })
        let golden = try Data(contentsOf: Self.folder.appending(path: "\(name).json"))
        try comesBack(contract, golden)
    }

    private func comesBack<Contract: EventContract>(_ contract: Contract.Type, _ golden: Data) throws {
        let message = try JSON.decode(contract, from: golden)
        let before = try JSON.decode(RawJSON.self, from: golden)
        #expect(try JSON.decode(RawJSON.self, from: JSON.encode(message)) == before)
        guard case .object(let fields) = before else {
            Issue.record("no object")
            return
        }
        let properties = Mirror(reflecting: message).children.compactMap(\.label)
        #expect(Set(properties) == Set(fields.keys), "the file fills every field")
    }
}
