/// The data of one message. Its wire name is permanent, `crm.deal.won.v1`: a changed meaning is a new type.
/// Fields may be added as optionals; readers ignore what they do not know.
public protocol EventContract: Codable, Sendable {
    static var type: String { get }
}
