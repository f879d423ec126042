import Foundation
import Testing

/// Inputs made from good ones by changes that a seed chooses: bytes flipped, cut out, doubled, moved, and the end torn off.
/// `THROUGHLINE_MUTATIONS` says how many (default 3000); a failing one is found again by its number.
enum Mutations {
    static var count: Int { ProcessInfo.processInfo.environment["THROUGHLINE_MUTATIONS"].flatMap { Int($0) } ?? 3000 }

    static func run(_ seeds: [[UInt8]], _ body: ([UInt8]) throws -> Void) throws {
        let (before, begun) = (residentMegabytes, ContinuousClock.now)
        var most = before
        for number in 0..<count {
            if number.isMultiple(of: 10_000) { most = max(most, residentMegabytes) }
            var random = SplitMix(state: UInt64(number))
            var bytes = seeds[number % seeds.count]
            for _ in 0...random.below(4) where !bytes.isEmpty { change(&bytes, &random) }
            try body(bytes)
        }
        guard count > 3000 else { return }
        // Other readers run beside it: together they stay within the bound.
        #expect(max(most, residentMegabytes) - before < 512, "memory is bounded")
        let seconds = begun.duration(to: .now).components.seconds
        print(
            "\(test): \(count) mutated inputs in \(seconds) s, \(before) MB before, \(max(most, residentMegabytes)) MB at most"
        )
    }

    private static var test: String { Test.current?.name ?? "" }

    private static var residentMegabytes: Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096 / 1_048_576
    }

    private static func change(_ bytes: inout [UInt8], _ random: inout SplitMix) {
        let at = random.below(bytes.count)
        let length = min(bytes.count - at, 1 + random.below(64))
        switch random.below(6) {
        case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.removeSubrange(at..<(at + length))
        case 2: bytes.insert(contentsOf: Array(bytes[at..<(at + length)]), at: at)
        case 3: bytes.removeSubrange(at...)
        case 4: bytes.swapAt(at, random.below(bytes.count))
        default: bytes.insert(contentsOf: (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }, at: at)
        }
    }

    private struct SplitMix {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
    }
}

/// The real sample files beside the repository.
enum Samples {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../shared/data").standardizedFileURL
    static let exist = FileManager.default.fileExists(atPath: folder.path)
    static func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: folder.appending(path: path))) }
}
