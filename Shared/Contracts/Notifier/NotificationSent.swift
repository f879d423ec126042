import Primitives

/// A person was told, or could not be.
public struct NotificationSent: EventContract {
    public static let type = "notifier.notification.sent.v1"
    public let notificationId: ID
    public let template: String
    /// Who: a name, never an address.
    public let recipient: String
    /// `sent` or `failed`.
    public let state: String
    public let attempts: Int
    public let reason: String?

    public init(
        notificationId: ID, template: String, recipient: String, state: String, attempts: Int,
        reason: String? = nil
    ) {
        self.notificationId = notificationId
        self.template = template
        self.recipient = recipient
        self.state = state
        self.attempts = attempts
        self.reason = reason
    }
}
