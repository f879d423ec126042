import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// One thing that counts, with what it can be sliced by.
struct Fact: Sendable {
    var metric: String
    var key: String
    var at: Timestamp
    /// The document's own day; nil: the day and hour of `at`.
    var day: String?
    /// A decimal text.
    var amount: String
    var unit: String
    var counted = true
    var channel, campaign, manager, organization, step: String?
    var currency: String?
    var journey: ID?
    var kind, ref: String
    var number: String?

    init(
        _ metric: String, key: String, at: Timestamp, day: String? = nil, amount: String = "1",
        unit: String = "pcs", slice: Slice, journey: ID?, kind: String, ref: String, number: String? = nil
    ) {
        self.metric = metric
        self.key = key
        self.at = at
        self.day = day
        self.amount = amount
        self.unit = unit
        self.channel = slice.channel
        self.campaign = slice.campaign
        self.manager = slice.manager
        self.organization = slice.organization
        self.journey = journey
        self.kind = kind
        self.ref = ref
        self.number = number
    }

    init(
        _ metric: String, key: String, at: Timestamp, day: String? = nil, money: Money, slice: Slice,
        journey: ID?, kind: String, ref: String, number: String? = nil
    ) {
        self.init(
            metric, key: key, at: at, day: day, amount: money.amount, unit: money.currency.code,
            slice: slice, journey: journey, kind: kind, ref: ref, number: number)
        currency = money.currency.code
    }

    var localDay: String { day ?? LocalTime.day(at) }
    var hour: String? { day == nil ? LocalTime.hour(at) : nil }

    /// The value of one dimension; `none` where it is not known, so that slices add up to the total.
    func dimension(_ name: String) -> String {
        let value: String? =
            switch name {
            case "channel": channel
            case "campaign": campaign
            case "manager": manager
            case "organization": organization
            case "step": step
            default: nil
            }
        return value ?? "none"
    }
}
