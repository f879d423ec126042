import Contracts

/// What a service does with the events of one publisher.
public struct EventHandlers: Sendable {
    public typealias Handler = @Sendable (ReceivedEvent, EventTransaction) async throws -> Void
    private var byType: [String: [Handler]] = [:]
    private var forEvery: [Handler] = []

    public init() {}

    /// Runs `handler` for each event of the contract's type. An error that is not passing parks the event.
    public mutating func on<Contract: EventContract>(
        _ contract: Contract.Type,
        _ handler: @escaping @Sendable (Contract, ReceivedEvent, EventTransaction) async throws -> Void
    ) {
        byType[Contract.type, default: []].append { event, transaction in
            try await handler(try event.data(as: contract), event, transaction)
        }
    }

    /// Runs `handler` for every event, known or not.
    public mutating func onEvery(_ handler: @escaping Handler) { forEvery.append(handler) }

    /// Also takes these messages where a publisher restates them: as if each were said now of the time when it happened.
    public mutating func takeSnapshots() {
        let told = byType
        on(StateSnapshot.self) { snapshot, event, transaction in
            let restated = try event.restating(snapshot)
            for handler in told[snapshot.says] ?? [] { try await handler(restated, transaction) }
        }
    }

    func handle(_ event: ReceivedEvent, _ transaction: EventTransaction) async throws {
        for handler in byType[event.type] ?? [] { try await handler(event, transaction) }
        for handler in forEvery { try await handler(event, transaction) }
    }
}

/// An error that no repetition mends: the event is parked at once, with these words for a person.
public struct Parked: Error, CustomStringConvertible {
    public let reason: String
    public init(_ reason: String) { self.reason = reason }
    public var description: String { reason }
}
