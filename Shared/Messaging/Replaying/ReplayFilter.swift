import Postgres
import Primitives

/// Which messages are done again. Every field that is set narrows; at least one must be.
public struct ReplayFilter: Codable, Sendable {
    public enum Source: String, Codable, Sendable {
        /// Set aside and not done yet.
        case parked
        /// Taken and done before.
        case taken
    }
    public var source = Source.parked
    public var ids: [ID]?
    public var from: Timestamp?
    public var to: Timestamp?
    public var types: [String]?
    public var keys: [String]?
    public var journeyId: ID?
    public var publisher: String?
    /// A part of the reason it was set aside for.
    public var error: String?
    /// A part of the message as it was sent.
    public var text: String?

    public init() {}

    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        source = try fields.decodeIfPresent(Source.self, forKey: .source) ?? .parked
        ids = try fields.decodeIfPresent([ID].self, forKey: .ids)
        from = try fields.decodeIfPresent(Timestamp.self, forKey: .from)
        to = try fields.decodeIfPresent(Timestamp.self, forKey: .to)
        types = try fields.decodeIfPresent([String].self, forKey: .types)
        keys = try fields.decodeIfPresent([String].self, forKey: .keys)
        journeyId = try fields.decodeIfPresent(ID.self, forKey: .journeyId)
        publisher = try fields.decodeIfPresent(String.self, forKey: .publisher)
        error = try fields.decodeIfPresent(String.self, forKey: .error)
        text = try fields.decodeIfPresent(String.self, forKey: .text)
    }

    var isEmpty: Bool {
        ids == nil && from == nil && to == nil && types == nil && keys == nil && journeyId == nil
            && publisher == nil && error == nil && text == nil
    }

    /// SQL of what it chooses: source, publisher, stream, lane, seq, event_id, type, key, correlation, at, body.
    /// A parked message brings those that were parked behind it, for they wait for nothing else.
    func chosen() throws -> Statement {
        var parameters: [Parameter] = []
        func bind(_ value: Parameter) -> String {
            parameters.append(value)
            return "$\(parameters.count)"
        }
        var conditions: [String] = []
        if let ids { conditions.append("event_id = ANY(\(bind(.ids(ids)))::uuid[])") }
        if let from { conditions.append("at >= \(bind(.time(from)))") }
        if let to { conditions.append("at < \(bind(.time(to)))") }
        if let types { conditions.append("type = ANY(\(bind(.texts(types)))::text[])") }
        if let keys { conditions.append("key = ANY(\(bind(.texts(keys)))::text[])") }
        if let journeyId { conditions.append("correlation = \(bind(.id(journeyId)))") }
        if let publisher { conditions.append("publisher = \(bind(.text(publisher)))") }
        if let text { conditions.append("position(\(bind(.bytes(Array(text.utf8))))::bytea IN body) > 0") }
        if let error { conditions.append("position(\(bind(.text(error))) IN reason) > 0") }
        let condition = conditions.isEmpty ? "true" : conditions.joined(separator: " AND ")
        switch source {
        case .parked:
            return Statement(
                """
                WITH waiting AS (
                    SELECT publisher, stream, lane, seq, id AS event_id, type, key, correlation, parked_at AS at, reason,
                        behind, body
                    FROM parked WHERE settled_at IS NULL),
                chosen AS (SELECT * FROM waiting WHERE \(condition))
                SELECT 'parked' AS source, publisher, stream, lane, seq, event_id, type, key, correlation, at, body
                FROM waiting AS w
                WHERE EXISTS (SELECT 1 FROM chosen AS c WHERE (c.publisher, c.stream, c.lane) = (w.publisher, w.stream, w.lane)
                    AND (c.seq = w.seq OR c.key = w.key AND w.behind AND w.seq > c.seq))
                """, parameters)
        case .taken:
            return Statement(
                """
                SELECT 'taken' AS source, publisher, stream, lane, seq, event_id, type, key, correlation, at, body FROM (
                    SELECT publisher, stream, lane, seq, event_id, type, at, body, '' AS reason,
                        convert_from(body, 'UTF8')::json ->> 'partitionkey' AS key,
                        (convert_from(body, 'UTF8')::json ->> 'correlationid')::uuid AS correlation
                    FROM inbox AS i
                    -- What is set aside was not done yet: it has its own source, and its own order.
                    WHERE NOT EXISTS (SELECT 1 FROM parked AS p WHERE p.settled_at IS NULL
                        AND (p.publisher, p.stream, p.lane, p.seq) = (i.publisher, i.stream, i.lane, i.seq))) AS taken
                WHERE \(condition)
                """, parameters)
        }
    }
}
