import ServiceKit

/// Tells open dashboards which metrics moved.
struct LiveFigures: Sendable {
    private let listeners = Listeners<String>(limit: 300)

    func changed(_ cells: [Cell]) {
        listeners.tell(Set(cells.map(\.metric)).sorted().joined(separator: ","))
    }

    func listen() -> AsyncStream<String?>? { listeners.listen() }
}
