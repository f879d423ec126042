import Primitives
import ServiceKit

/// Tells open pages that something moved on a journey.
struct LivePages: Sendable {
    private let listeners = Listeners<ID>(limit: 500)

    func changed(_ journey: ID) { listeners.tell(journey) }

    /// Changes of one journey, or of all; nil when too many pages are open.
    func listen(_ journey: ID?) -> AsyncStream<ID?>? {
        listeners.listen { journey == nil || $0 == journey }
    }
}
