import Primitives

/// What a figure can be sliced by, frozen when the fact happened.
public struct Slice: Codable, Sendable, Hashable {
    /// The journey's first touch.
    public var channel, campaign: String?
    public var managerId: ID?
    public var manager: String?
    /// Code of the organization of ours that sells.
    public var organization: String?

    public init(
        channel: String? = nil, campaign: String? = nil, managerId: ID? = nil,
        manager: String? = nil, organization: String? = nil
    ) {
        self.channel = channel
        self.campaign = campaign
        self.managerId = managerId
        self.manager = manager
        self.organization = organization
    }
}
