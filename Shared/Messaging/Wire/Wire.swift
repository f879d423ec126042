import Contracts
import Primitives

enum Wire {
    /// Numbers that are believed: room is left to count on from any of them. -1 asks below everything.
    private static let bounds: ClosedRange<Int64> = -1...(1 << 60)

    private static func isSound(_ beacon: Beacon) -> Bool {
        bounds.contains(beacon.head) && bounds.contains(beacon.oldest) && bounds.contains(beacon.term)
    }

    static func topic(stream: String, lane: Lane) -> String { "e/\(stream)/\(lane.rawValue)/" }

    static func live(_ batch: EventBatch) throws -> [[UInt8]] {
        [
            Array(topic(stream: batch.header.stream, lane: batch.header.lane).utf8),
            Array(try JSON.encode(batch.header)),
        ] + batch.bodies
    }

    static func live(_ beacon: Beacon) throws -> [[UInt8]] {
        [
            Array(topic(stream: beacon.stream, lane: beacon.lane).utf8),
            Array(try JSON.encode(beacon)),
        ]
    }

    static func letter(_ kind: String, _ header: some Encodable, _ bodies: [[UInt8]] = []) throws
        -> [[UInt8]]
    {
        [Array(kind.utf8), Array(try JSON.encode(header))] + bodies
    }

    /// Reads what came on a SUB socket; nil when it is nothing of ours.
    static func readLive(_ frames: [[UInt8]]) -> Inbound? {
        guard frames.count >= 2 else { return nil }
        if frames.count == 2, let beacon = try? JSON.decode(Beacon.self, from: frames[1]), isSound(beacon) {
            return .beacon(beacon)
        }
        return batch(frames).map { .events($0) }
    }

    /// Reads a letter and checks that `from` is the authenticated sender; nil when it is not, or
    /// nothing of ours.
    static func readLetter(_ frames: [[UInt8]], peer: String?) -> Inbound? {
        guard frames.count >= 2, let peer else { return nil }
        let header = frames[1]
        func read<T: Decodable>(_ type: T.Type, _ from: (T) -> String?) -> T? {
            guard let value = try? JSON.decode(type, from: header), from(value) == peer else {
                return nil
            }
            return value
        }
        func inBounds(_ numbers: Int64...) -> Bool { numbers.allSatisfy { Self.bounds.contains($0) } }
        switch String(decoding: frames[0], as: UTF8.self) {
        case "HELLO": return read(Hello.self) { inBounds($0.seq, $0.epoch) ? $0.from : nil }.map { .hello($0) }
        case "WELCOME":
            return read(Welcome.self) { inBounds($0.seq, $0.head, $0.oldest, $0.term) ? $0.from : nil }.map {
                .welcome($0)
            }
        case "PULLPAGE": return read(PullPage.self) { inBounds($0.seq) ? $0.from : nil }.map { .pullPage($0) }
        case "POS": return read(Position.self) { inBounds($0.seq) ? $0.from : nil }.map { .position($0) }
        case "BCN": return read(Beacon.self) { isSound($0) ? $0.from : nil }.map { .beacon($0) }
        case "CTL":
            guard frames.count - 2 <= EventBatch.pageCount else { return nil }
            return read(Control.self) { inBounds($0.seq) ? $0.from : nil }.map {
                .control($0, bodies: Array(frames.dropFirst(2)))
            }
        case "PAGE", "EVT":
            guard let batch = batch(frames), batch.header.from == peer else { return nil }
            return frames[0].first == UInt8(ascii: "P") ? .page(batch) : .events(batch)
        default: return nil
        }
    }

    private static func batch(_ frames: [[UInt8]]) -> EventBatch? {
        guard let header = try? JSON.decode(EventBatch.Header.self, from: frames[1]),
            header.n == frames.count - 2, header.n <= EventBatch.pageCount, header.seq > 0, bounds.contains(header.seq),
            bounds.contains(header.head), bounds.contains(header.term),
            header.v == 1
        else { return nil }
        return EventBatch(header: header, bodies: Array(frames.dropFirst(2)))
    }
}
