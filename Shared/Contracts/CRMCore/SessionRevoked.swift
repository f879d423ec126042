import Primitives

/// A session ended before its time.
public struct SessionRevoked: EventContract {
    public static let type = "crm.session.revoked.v1"
    public let sessionId: ID

    public init(
        sessionId: ID
    ) {
        self.sessionId = sessionId
    }
}
