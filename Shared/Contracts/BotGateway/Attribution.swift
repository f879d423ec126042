/// Where a client came from, as the channel said it.
public struct Attribution: Codable, Sendable, Hashable {
    public var source, medium, campaign, content, term: String?
    /// The channel's own deep-link payload: Telegram's `/start <payload>`.
    public var ref: String?

    public init(
        source: String? = nil, medium: String? = nil, campaign: String? = nil,
        content: String? = nil, term: String? = nil, ref: String? = nil
    ) {
        self.source = source
        self.medium = medium
        self.campaign = campaign
        self.content = content
        self.term = term
        self.ref = ref
    }

    public var isEmpty: Bool { self == Attribution() }

    /// The campaign by name, else what the deep link said.
    public var campaignName: String? { campaign ?? ref }
}

/// Who wrote, as the channel knows him.
public struct Sender: Codable, Sendable, Hashable {
    public var id, name, phone, email: String?

    public init(id: String? = nil, name: String? = nil, phone: String? = nil, email: String? = nil) {
        self.id = id
        self.name = name
        self.phone = phone
        self.email = email
    }
}
