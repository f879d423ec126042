import Primitives

/// A copy of a document of 1C's that belongs to an order: the same one is told by the same base, kind and id.
public struct ReportedDocument: Codable, Sendable, Hashable {
    /// `payment`, `refund`, `shipment`, `return`, `invoice`.
    public let kind: String
    public let onecId: String
    public let number, date: String?
    public let amount: Money?
    public let posted, cancelled: Bool
    /// The base that tells it, when that is not the order's.
    public var base: String?
    /// False: another base is authoritative for documents of this kind, so that it is seen and never counted. Nil: it counts.
    public var counts: Bool?
    /// Opens the document where it is kept; nil where nothing can.
    public var link: String?

    public init(
        kind: String, onecId: String, number: String?, date: String?, amount: Money?,
        posted: Bool, cancelled: Bool, base: String? = nil, counts: Bool? = nil, link: String? = nil
    ) {
        self.link = link
        self.base = base
        self.counts = counts
        self.kind = kind
        self.onecId = onecId
        self.number = number
        self.date = date
        self.amount = amount
        self.posted = posted
        self.cancelled = cancelled
    }
}
