import Postgres
import Primitives

/// Answers a subscriber's questions about our own log.
struct PageReader: Sendable {
    let pool: PostgresPool
    let recent: RecentEvents
    let lease: LeaseState
    let name: String

    func welcome(_ hello: Hello) async throws -> Welcome? {
        guard let head = lease.head(hello.stream, hello.lane), lease.missing == nil else { return nil }
        let link =
            hello.seq == head.seq
            ? head.link
            : PublisherDecisions.needsLink(hello, head) ? try await link(hello.stream, hello.lane, hello.seq) : nil
        let before =
            PublisherDecisions.isExpired(hello, head)
            ? head.oldest > head.seq ? head.link : try await self.link(hello.stream, hello.lane, head.oldest - 1) : nil
        return PublisherDecisions.welcome(hello, head, linkInLog: link, beforeOldest: before, from: name)
    }

    /// The link at `seq`, also at the number before the oldest kept day.
    private func link(_ stream: String, _ lane: Lane, _ seq: Int64) async throws -> Link? {
        if seq == 0 { return .zero }
        let rows = try await pool.query(
            """
            SELECT n.link FROM day_range d JOIN event_no n
                ON n.day = d.day AND n.stream = d.stream AND n.lane = d.lane AND n.seq = $3
                AND n.first BETWEEN $3 - \(StampingTick.limit) AND $3 AND n.last >= $3
            WHERE d.stream = $1 AND d.lane = $2 AND $3 BETWEEN d.first AND d.last
            UNION ALL
            SELECT before FROM day_range WHERE stream = $1 AND lane = $2 AND first = $3::bigint + 1 AND before IS NOT NULL
            LIMIT 1
            """, [.text(stream), .text(lane.rawValue), .int(seq)])
        return try rows.first.flatMap { Link(try $0.bytes("link")) }
    }

    func page(_ request: PullPage) async throws -> EventBatch? {
        guard let head = lease.head(request.stream, request.lane), lease.missing == nil,
            request.seq >= head.oldest, request.seq <= head.seq
        else { return nil }
        if let (before, entries) = recent.page(
            stream: request.stream, lane: request.lane, from: request.seq), !entries.isEmpty
        {
            return PublisherDecisions.page(head, after: before, entries, from: name)
        }
        var look = Statement(
            """
            SELECT n.seq, n.link, n.body FROM day_range AS d CROSS JOIN LATERAL (
                SELECT n.seq, n.link, e.body FROM event_no AS n
                JOIN event AS e ON e.day = n.event_day AND e.id = n.event_id
                WHERE n.day = d.day AND n.stream = $1 AND n.lane = $2
                    AND n.first > $3::bigint - \(StampingTick.limit) AND n.first < $3 + \(EventBatch.pageCount) AND n.last >= $3
                    AND n.seq >= $3 AND n.seq < $3 + \(EventBatch.pageCount)) AS n
            WHERE d.stream = $1 AND d.lane = $2 AND d.last >= $3 AND d.first < $3 + \(EventBatch.pageCount)
            ORDER BY n.seq
            """, [.text(request.stream), .text(request.lane.rawValue), .int(request.seq)])
        look.isAnsweredInBinary = true
        let rows = try await pool.run([look])[0]
        var entries: [RecentEvents.Entry] = []
        var bytes = 0
        for row in rows {
            guard let link = Link(try row.bytes("link")) else { break }
            let body = try row.bytes("body")
            bytes += body.count
            if bytes > EventBatch.pageBytes, !entries.isEmpty { break }
            entries.append(.init(seq: try row.int("seq"), link: link, body: body))
        }
        guard !entries.isEmpty, entries[0].seq == request.seq else { return nil }
        guard let before = try await link(request.stream, request.lane, request.seq - 1) else { return nil }
        return PublisherDecisions.page(head, after: before, entries, from: name)
    }
}
