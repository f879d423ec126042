/// A moment at which a process may die, told to whoever wants to try it: `BusConfiguration.checkpoint`. In the product nobody
/// listens.
public struct Checkpoint: Sendable {
    public enum Moment: String, CaseIterable, Sendable {
        case stamped, published, received, handled, applied
    }
    private let body: @Sendable (Moment) -> Void

    public init(_ body: @escaping @Sendable (Moment) -> Void) { self.body = body }
    public static let none = Checkpoint { _ in }

    func callAsFunction(_ moment: Moment) { body(moment) }
}
