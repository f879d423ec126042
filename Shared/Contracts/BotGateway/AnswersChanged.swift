import Primitives

/// The questionnaire got an answer, was finished, or was left.
public struct AnswersChanged: EventContract {
    public static let type = "bot.answers.changed.v1"
    public let conversationId: ID
    public let channel: String
    public let answers: [String: String]
    public let name: String?
    public let phone: String?
    /// The platform vouches that the number is the sender's own.
    public let phoneConfirmed: Bool
    public let email: String?
    /// `open`, `complete`, `abandoned`.
    public let state: String
    /// Where an open or abandoned talk stands.
    public let step: String?

    public init(
        conversationId: ID, channel: String, answers: [String: String], name: String? = nil,
        phone: String? = nil, phoneConfirmed: Bool, email: String? = nil, state: String,
        step: String? = nil
    ) {
        self.conversationId = conversationId
        self.channel = channel
        self.answers = answers
        self.name = name
        self.phone = phone
        self.phoneConfirmed = phoneConfirmed
        self.email = email
        self.state = state
        self.step = step
    }
}
