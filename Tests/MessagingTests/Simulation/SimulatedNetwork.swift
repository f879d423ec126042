@testable import Messaging

/// What travels between the two, as frames the real code would read.
enum Letter: Sendable {
    case toSubscriber(Inbound)
    case toPublisher(Inbound)
}

/// A network that loses, repeats, reorders and cuts; what it is not told to lose it delivers some time later.
struct SimulatedNetwork {
    private var flying: [(at: Double, order: Int, letter: Letter)] = []
    private var sent = 0
    /// Until when nothing passes in a direction.
    private var cutToSubscriber = 0.0
    private var cutToPublisher = 0.0
    /// Shares of what is lost and repeated, and the longest delay in seconds.
    var loss = 0.0
    var repeats = 0.0
    var delay = 0.01

    mutating func cut(toSubscriber: Double, toPublisher: Double) {
        cutToSubscriber = max(cutToSubscriber, toSubscriber)
        cutToPublisher = max(cutToPublisher, toPublisher)
    }

    mutating func send(_ letter: Letter, now: Double, _ random: inout SeededRandom) {
        let cut = if case .toSubscriber = letter { cutToSubscriber } else { cutToPublisher }
        if now < cut || random.chance(loss) { return }
        for _ in 0..<(random.chance(repeats) ? 2 : 1) {
            sent += 1
            flying.append((now + random.seconds(0.0001...max(0.0002, delay)), sent, letter))
        }
    }

    /// The letters that have arrived by now, in the order of their arrival.
    mutating func arrived(by now: Double) -> [Letter] {
        let here = flying.filter { $0.at <= now }.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
        flying.removeAll { $0.at <= now }
        return here.map(\.letter)
    }

    /// A process that died takes with it what was on its way to it.
    mutating func dropAll(toSubscriber: Bool) {
        flying.removeAll { flight in
            if case .toSubscriber = flight.letter { toSubscriber } else { !toSubscriber }
        }
    }

    mutating func heal() {
        (loss, repeats, delay) = (0, 0, 0.01)
        (cutToSubscriber, cutToPublisher) = (0, 0)
    }
}
