import Postgres
import Primitives
import Synchronization

/// Takes back events that this service's log lost, from a subscriber that kept them: only while a person has allowed it.
final class CopyDesk: Sendable {
    private let name: String
    private let pool: PostgresPool
    private let spoke: @Sendable (Set<String>) -> Void
    private let allowed = Mutex<[String: ContinuousClock.Instant]>([:])

    /// Seconds that a permission lasts.
    static let permission = 600.0

    init(name: String, pool: PostgresPool, spoke: @escaping @Sendable (Set<String>) -> Void) {
        self.name = name
        self.pool = pool
        self.spoke = spoke
    }

    /// A person's word that `subscriber` may refill this log now.
    func allow(_ subscriber: String, by: String, reason: String) async throws {
        try await pool.run([
            BusDecision.record(
                by: by, "take-copies", subscriber, reason: reason,
                outcome: "its copies are taken for \(Int(Self.permission)) s")
        ])
        allowed.withLock { $0[subscriber] = .now + .seconds(Self.permission) }
    }

    /// Writes those that are not in the log as new events, in their old order. Answers once they are durable.
    func take(_ control: Control, _ bodies: [[UInt8]], from peer: String) async throws -> Control? {
        func answer(_ what: Control.What, _ reason: String? = nil) -> Control {
            Control(
                from: name, stream: control.stream, lane: control.lane, what: what,
                seq: control.seq + Int64(bodies.count) - 1, reason: reason)
        }
        guard let until = allowed.withLock({ $0[peer] }), until > .now else {
            return answer(.refused, "nobody has allowed \(name) to take copies from \(peer)")
        }
        let stream = StreamName(publisher: name, stream: control.stream, lane: control.lane)
        var drafts: [EventDraft] = []
        for (offset, body) in bodies.enumerated() {
            let event = try ReceivedEvent(body, position: .init(stream: stream, seq: control.seq + Int64(offset)))
            guard event.source == name else { return answer(.refused, "event \(event.id) is not of \(name)") }
            drafts.append(EventDraft(copy: event, stream: control.stream, lane: control.lane))
        }
        let offered = drafts
        let missing = try await pool.transaction { transaction in
            let known = try await transaction.query(
                "SELECT event_id FROM event WHERE event_id = ANY($1::uuid[])", [.ids(offered.map(\.id))])
            let ids = Set(try known.map { try $0.id("event_id") })
            let missing = offered.filter { !ids.contains($0.id) }
            try await transaction.run(
                [
                    BusDecision.record(
                        by: peer, "copies", "\(control.stream)/\(control.lane.rawValue)",
                        reason: "offered from its #\(control.seq) on",
                        outcome: "\(missing.count) of \(offered.count) were missing and are in the log again")
                ] + (missing.isEmpty ? [] : [EventLog.append(missing)]))
            return missing.count
        }
        if missing > 0 { spoke(Set(offered.map(\.sequence))) }
        return answer(.copied)
    }
}
