import Contracts
import HTTPTypes
import Hummingbird
import Messaging
import Primitives

/// Seeing the bus, and a person's word to it: decisions about stopped streams, and replays.
struct BusRoutes<Service: SuiteService>: Sendable {
    let service: Service
    let missing: @Sendable () -> String?

    private struct Decision: Decodable {
        let stream: String
        let decision: StreamDecision
        let reason: String
    }
    private struct Consent: Decodable {
        let subscriber, reason: String
    }
    private struct Plan: Decodable {
        let filter: RawJSON
        let changes: [String: RawJSON]?
        let dryRun: Bool?
    }
    private struct Places: AnswerShape { let items: [QueuePlace] }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/bus") { _, context in
            try context.require("head", "integrator")
            return try Response.json(try await BusReport.make(service, missing: missing()))
        }
        router.get("/api/v1/bus/decisions") { request, context in
            try context.require("head", "integrator")
            return try Response.json(
                Page(items: try await service.bus.decisions(limit: try request.limit()), next: nil))
        }
        router.post("/api/v1/bus/decisions") { request, context in
            let caller = try context.require("integrator")
            let wish = try await request.json(Decision.self)
            try await decided {
                try await service.bus.decide(
                    wish.decision, stream: wish.stream, by: caller.name, reason: try Self.reason(wish.reason))
            }
            return try Response.json(Begun(), .accepted)
        }
        router.post("/api/v1/bus/copies") { request, context in
            let caller = try context.require("integrator")
            let wish = try await request.json(Consent.self)
            guard ServiceIdentity(rawValue: wish.subscriber) != nil else {
                throw Problem.invalid("subscriber is the name of a service")
            }
            try await service.bus.allowCopies(
                from: wish.subscriber, by: caller.name, reason: try Self.reason(wish.reason))
            return try Response.json(Begun(), .accepted)
        }
        router.get("/api/v1/whereabouts") { request, context in
            try context.requireReader()
            guard let journey = request.query("journeyId").flatMap({ ID($0) }) else {
                throw Problem.badRequest("journeyId is an id")
            }
            return try Response.json(Places(items: try await service.whereabouts(journey)))
        }
        addReplays(to: router)
    }

    private func addReplays(to router: Router<ServiceRequestContext>) {
        let replays = service.bus.replays
        router.get("/api/v1/replays") { request, context in
            try context.requireReplays()
            let limit = try request.limit()
            let own = try await service.ownReplays?.list(limit: limit) ?? []
            let all = (try await replays.list(limit: limit) + own).sorted { $0.plannedAt > $1.plannedAt }
            return try Response.json(Page(items: Array(all.prefix(limit)), next: nil))
        }
        router.post("/api/v1/replays") { request, context in
            let caller = try context.requireReplaying()
            let plan = try await request.json(Plan.self)
            guard plan.changes?.isEmpty != false || caller.isAdmin || caller.roles.contains("integrator") else {
                // What a message says is changed by those who know the contracts.
                throw Problem.forbidden
            }
            guard plan.dryRun == true else {
                throw Problem.invalid("a replay is looked at before it is applied: dryRun is true, then /apply")
            }
            let own = try await understood { try await service.ownReplays?.plan(plan.filter, by: caller.name) }
            if let id = own { return try Response.json(try await shown(own: id), .created) }
            let filter = try await understood { try JSON.decode(ReplayFilter.self, from: JSON.encode(plan.filter)) }
            var changes: [ID: RawJSON] = [:]
            for (id, data) in plan.changes ?? [:] {
                guard let id = ID(id) else { throw Problem.badRequest("changes: «\(id)» is no id") }
                changes[id] = data
            }
            let wanted = changes
            let made = try await refusable { try await replays.plan(filter, changes: wanted, by: caller.name) }
            return try Response.json(try await shown(made), .created)
        }
        router.get("/api/v1/replays/:id") { request, context in
            try context.requireReplays()
            if let id = try await own(context) {
                return try Response.json(try await shown(own: id, after: request.query("after")))
            }
            return try Response.json(try await shown(try await found(context), after: request.query("after")))
        }
        router.post("/api/v1/replays/:id/apply") { _, context in
            let caller = try context.requireReplaying()
            if let id = try await own(context) {
                try await refusable { try await service.ownReplays?.apply(id, by: caller.name) }
                return try Response.json(try await shown(own: id), .accepted)
            }
            let id = try await found(context).id
            try await refusable { try await replays.apply(id, by: caller.name) }
            return try Response.json(try await shown(try await found(context)), .accepted)
        }
        router.post("/api/v1/replays/:id/cancel") { _, context in
            let caller = try context.requireReplaying()
            if let id = try await own(context) {
                try await refusable { try await service.ownReplays?.cancel(id, by: caller.name) }
                return try Response.json(try await shown(own: id))
            }
            let id = try await found(context).id
            try await refusable { try await replays.cancel(id, by: caller.name) }
            return try Response.json(try await shown(try await found(context)))
        }
    }

    private struct Begun: AnswerShape { let begun = true }

    /// A replay with a page of its frozen list.
    private struct Shown<Item: Encodable & Sendable>: AnswerShape {
        let id: ID
        let service, state: String
        let count: Int
        let plannedAt: Timestamp
        let plannedBy: String
        let appliedBy: String?
        let appliedAt: Timestamp?
        let filter: RawJSON
        let counts: [String: Int]
        /// What the preview found, absent for an empty list.
        let differences: ReplayPreview?
        let items: [Item]
        let next: String?
    }

    /// Items of one page.
    private static var pageLimit: Int { 200 }

    private func shown(_ replay: Replay, after: String? = nil) async throws -> Shown<ReplayItem> {
        let place = after.flatMap { Int($0) } ?? 0
        let items = try await service.bus.replays.items(replay.id, after: place, limit: Self.pageLimit)
        return try shown(replay, items, next: items.last?.place)
    }

    private func shown(own id: ID, after: String? = nil) async throws -> Shown<OwnReplayItem> {
        guard let own = service.ownReplays, let replay = try await own.find(id) else {
            throw Problem.notFound("replay")
        }
        let items = try await own.items(id, after: after.flatMap { Int($0) } ?? 0, limit: Self.pageLimit)
        return try shown(replay, items, next: items.last?.place)
    }

    /// The id of a replay of the service's own work; nil when it is none.
    private func own(_ context: ServiceRequestContext) async throws -> ID? {
        guard let id = context.parameters.get("id").flatMap({ ID($0) }) else { return nil }
        return try await service.ownReplays?.find(id)?.id
    }

    private func shown<Item>(_ replay: Replay, _ items: [Item], next: Int?) throws -> Shown<Item> {
        Shown(
            id: replay.id, service: Service.identity.name, state: replay.state,
            count: replay.counts.values.reduce(0, +), plannedAt: replay.plannedAt, plannedBy: replay.plannedBy,
            appliedBy: replay.appliedBy, appliedAt: replay.appliedAt,
            filter: try JSON.decode(RawJSON.self, from: replay.filter.utf8), counts: replay.counts,
            differences: replay.preview, items: items,
            next: items.count == Self.pageLimit ? next.map { String($0) } : nil)
    }

    private func found(_ context: ServiceRequestContext) async throws -> Replay {
        guard let id = context.parameters.get("id").flatMap({ ID($0) }),
            let replay = try await service.bus.replays.find(id)
        else { throw Problem.notFound("replay") }
        return replay
    }

    private static func reason(_ text: String) throws -> String {
        let words = text.trimmed
        guard (1...500).contains(words.count) else {
            throw Problem.invalid("a decision wants its reason, up to 500 characters")
        }
        return words
    }

    /// A filter that is of another shape is said to be so.
    private func understood<Value>(_ body: () async throws -> Value) async throws -> Value {
        do { return try await refusable(body) } catch let error as DecodingError {
            throw Problem.badRequest("filter: \(error.place)")
        }
    }

    private func refusable<Value>(_ body: () async throws -> Value) async throws -> Value {
        do { return try await body() } catch let error as ReplayRefused { throw Problem.conflict("\(error)") } catch let
            error
            as EventTooLarge
        { throw Problem.invalid("\(error)") }
    }

    private func decided(_ body: () async throws -> Void) async throws {
        do { try await body() } catch let error as DecisionRefused {
            throw Problem.conflict("\(error)")
        } catch is NoSuchStream {
            throw Problem.notFound("stream")
        }
    }
}

extension ServiceRequestContext {
    /// Who may see what was done again. What stands between the books and the CRM is mended by those who keep the books.
    @discardableResult
    public func requireReplays() throws -> Caller { try require("head", "integrator", "accountant") }
    /// Who may do messages and exchanges again.
    @discardableResult
    public func requireReplaying() throws -> Caller { try require("integrator", "accountant") }
}

extension Caller {
    /// Whether ``ServiceRequestContext/requireReplaying()`` lets it pass.
    public var mayReplay: Bool { isAdmin || !roles.isDisjoint(with: ["integrator", "accountant"]) }
}
