import Primitives

/// A member of staff as others need to know him.
public struct UserChanged: EventContract {
    public static let type = "crm.user.changed.v1"
    public let userId: ID
    public let login: String
    public let name: String
    public let roles: [String]
    public let email: String?
    public let active: Bool

    public init(
        userId: ID, login: String, name: String, roles: [String], email: String? = nil,
        active: Bool
    ) {
        self.userId = userId
        self.login = login
        self.name = name
        self.roles = roles
        self.email = email
        self.active = active
    }
}
