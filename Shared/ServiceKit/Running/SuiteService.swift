import Hummingbird
import Messaging
import Postgres
import Primitives

/// One of the five: what it owns and does, composed from a context; run by ``ServiceRunner`` or by a test.
public protocol SuiteService: Sendable {
    static var identity: ServiceIdentity { get }
    /// Its own schema's files, numbered from 3: 1 is the bus's, 2 the identity's.
    static var migrations: [Migration] { get }
    var bus: EventBus { get }

    init(_ context: ServiceContext) throws

    func addRoutes(to router: Router<ServiceRequestContext>)
    /// After the schema is ready and before work begins.
    func prepare() async throws
    /// Loops that run until they are cancelled; each is started again when it fails.
    var loops: [(name: String, run: @Sendable () async throws -> Void)] { get }
    /// What came from outside and could not be used, newest first.
    func setAside(_ limit: Int) async throws -> [ParkedItem]
    /// Work taken on and not done yet.
    func queues() async throws -> [WorkQueue]
    /// How its ways to outside systems do.
    func connectors() async throws -> [ConnectorState]
    /// Where something of a journey waits in those queues.
    func queuePlaces(_ journey: ID) async throws -> [QueuePlace]
    /// Its own work that can be done again; nil when there is none.
    var ownReplays: (any OwnReplays)? { get }
    /// The OpenAPI description of what this service alone serves; what all serve is put in front of it.
    static var openAPI: [UInt8] { get }
}

extension SuiteService {
    public func prepare() async throws {}
    public var ownReplays: (any OwnReplays)? { nil }
    public func queues() async throws -> [WorkQueue] { [] }
    public func connectors() async throws -> [ConnectorState] { [] }
    public func queuePlaces(_ journey: ID) async throws -> [QueuePlace] { [] }
    public func setAside(_ limit: Int) async throws -> [ParkedItem] { [] }
    public var loops: [(name: String, run: @Sendable () async throws -> Void)] { [] }
}
