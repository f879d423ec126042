import Primitives

/// Who calls an HTTP face: a user with a session, or a program with an API key.
public struct Caller: Sendable {
    public enum Kind: Sendable, Equatable {
        case user(ID)
        case key
    }
    public let kind: Kind
    public let name: String
    public let roles: Set<String>
    /// For keys: the channels they may write to; empty means all.
    public let channels: Set<String>
    public let sessionID: ID?

    public init(
        kind: Kind, name: String, roles: Set<String>, channels: Set<String> = [],
        sessionID: ID? = nil
    ) {
        self.kind = kind
        self.name = name
        self.roles = roles
        self.channels = channels
        self.sessionID = sessionID
    }

    public var isAdmin: Bool { roles.contains("admin") }
    public var userID: ID? { if case .user(let id) = kind { id } else { nil } }

    /// May see everybody's records, not only his own.
    public var seesAll: Bool {
        isAdmin || !roles.isDisjoint(with: ["head", "accountant", "logistician", "reader", "integrator"])
    }

    /// May read the company's records at all: a person, or a program with a role that reads. A bot's key may not.
    var mayRead: Bool { userID != nil || seesAll }

    /// Whose records the caller may see; nil: everybody's.
    /// - Throws: 403 for a program that may read nobody's.
    public func ownerFilter() throws -> ID? {
        guard mayRead else { throw Problem.forbidden }
        return seesAll ? nil : userID
    }
}
