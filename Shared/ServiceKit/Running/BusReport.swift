import Messaging
import Primitives

/// How a service's part of the line stands: what it says, what it takes, what waits and for whom.
struct BusReport: AnswerShape {
    struct Reason: AnswerShape {
        let reason: String
        let count: Int
        let since: Timestamp
    }
    let service: String
    let leads: Bool
    let missing: [String]
    let heads: [StreamHeadView]
    let takes: [SubscriptionStatus]
    /// Who takes what this service says, as they last told.
    let takenBy: [SubscriberPlace]
    let queues: [WorkQueue]
    let parked: [Reason]
    /// What stands against the log's keeping, in words.
    let alarms: [String]
    let bus: BusCounters

    static func make(_ service: some SuiteService, missing: String?) async throws -> BusReport {
        let bus = service.bus
        let rows = try await bus.pool.query(
            """
            SELECT reason, count(*) AS n, min(parked_at) AS since FROM parked WHERE settled_at IS NULL
            GROUP BY reason ORDER BY n DESC LIMIT 50
            """)
        return BusReport(
            service: type(of: service).identity.name, leads: bus.missing == nil,
            missing: [missing, bus.missing].compactMap { $0 }, heads: bus.streamHeads, takes: bus.subscriptions,
            takenBy: bus.subscriberPlaces, queues: try await service.queues(),
            parked: try rows.map {
                .init(reason: try $0.string("reason"), count: Int(try $0.int("n")), since: try $0.time("since"))
            },
            alarms: bus.logAlarms.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }, bus: bus.counters)
    }
}

extension SuiteService {
    /// Where something of a journey waits: in the log for a subscriber, set aside, or in a queue of the service's own.
    func whereabouts(_ journey: ID) async throws -> [QueuePlace] {
        let name = Self.identity.name
        let parked = try await bus.pool.query(
            """
            SELECT p.type, p.publisher, p.stream || '/' || p.lane AS sequence, p.seq, p.reason, p.parked_at, p.behind,
                (SELECT count(*) FROM parked AS o WHERE (o.publisher, o.stream, o.lane, o.key) =
                    (p.publisher, p.stream, p.lane, p.key) AND o.seq < p.seq AND o.settled_at IS NULL) AS ahead
            FROM parked AS p WHERE p.correlation = $1 AND p.settled_at IS NULL ORDER BY p.parked_at LIMIT 100
            """, [.id(journey)])
        var places = try parked.map {
            QueuePlace(
                service: name, queue: "parked", what: "\(try $0.string("type")) #\(try $0.int("seq"))",
                ahead: Int(try $0.int("ahead")), since: try $0.time("parked_at"), waitsFor: try $0.string("reason"))
        }
        let end = ContinuousClock.now + .seconds(Self.lookingSeconds)
        for subscriber in bus.subscriberPlaces where subscriber.behind > 0 {
            var (found, looked): ([QueuePlace], Int64) = ([], 0)
            repeat {
                let step = looked == 0 ? Self.firstStep : Self.lookingStep
                found = try await waiting(of: journey, before: subscriber, after: looked, step)
                looked += step
            } while found.isEmpty && looked < subscriber.behind && ContinuousClock.now < end
            if found.isEmpty, looked < subscriber.behind {
                found = [try await unseen(before: subscriber, after: looked)]
            }
            places += found
        }
        return places + (try await queuePlaces(journey))
    }

    /// Events of a log that are looked through at a time, and seconds in which it is looked on: the log of a day keeps no index by journey,
    /// and who asks waits five seconds.
    private static var firstStep: Int64 { 5000 }
    private static var lookingStep: Int64 { 100_000 }
    private static var lookingSeconds: Double { 1.5 }

    private func waiting(of journey: ID, before subscriber: SubscriberPlace, after looked: Int64, _ step: Int64)
        async throws
        -> [QueuePlace]
    {
        let from = subscriber.seq + looked
        let rows = try await bus.pool.query(
            """
            SELECT n.type, n.seq, n.at FROM day_range AS d CROSS JOIN LATERAL (
                SELECT e.type, n.seq, e.at FROM event_no AS n
                JOIN event AS e ON e.day = n.event_day AND e.id = n.event_id
                WHERE n.day = d.day AND n.stream = $1 AND n.lane = $2
                    AND n.last > $3 AND n.first <= $4 AND n.seq > $3 AND n.seq <= $4
                    AND e.correlation = $5) AS n
            WHERE d.stream = $1 AND d.lane = $2 AND d.last > $3
            ORDER BY n.seq LIMIT 20
            """,
            [
                .text(subscriber.stream), .text(subscriber.lane.rawValue), .int(from), .int(from + step),
                .id(journey),
            ])
        return try rows.map {
            QueuePlace(
                service: Self.identity.name, queue: subscriber.queue, what: try $0.string("type"),
                ahead: Int(try $0.int("seq") - subscriber.seq - 1), since: try $0.time("at"),
                waitsFor: subscriber.subscriber)
        }
    }

    /// Behind so many that nobody looked: it may wait there, and it is better said than left out.
    private func unseen(before subscriber: SubscriberPlace, after looked: Int64) async throws -> QueuePlace {
        let row = try await bus.pool.query(
            """
            SELECT n.at FROM day_range AS d CROSS JOIN LATERAL (
                SELECT e.at FROM event_no AS n JOIN event AS e ON e.day = n.event_day AND e.id = n.event_id
                WHERE n.day = d.day AND n.stream = $1 AND n.lane = $2
                    AND n.first BETWEEN $3::bigint - \(EventBus.runLimit) AND $3 AND n.last >= $3 AND n.seq = $3) AS n
            WHERE d.stream = $1 AND d.lane = $2 AND $3 BETWEEN d.first AND d.last
            """, [.text(subscriber.stream), .text(subscriber.lane.rawValue), .int(subscriber.seq + looked)]
        ).first
        return QueuePlace(
            service: Self.identity.name, queue: subscriber.queue, what: "perhaps one further back", ahead: Int(looked),
            since: try row?.time("at") ?? .now(), waitsFor: subscriber.subscriber)
    }
}

extension SubscriberPlace {
    fileprivate var queue: String { "\(stream)/\(lane.rawValue)" }
}
