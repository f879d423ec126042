import Primitives
import Synchronization

/// Brings what the sockets received to the subscription or the letter desk it belongs to.
final class Router: Sendable {
    private let name: String
    private let byStream = Mutex<[StreamName: Subscriber]>([:])
    let letters = InputQueue<(Inbound, String)>(limit: 2000, bytes: 16 * 1024 * 1024) { $0.0.byteCount }

    init(name: String) { self.name = name }

    func attach(_ subscribers: [Subscriber]) {
        byStream.withLock { table in
            for subscriber in subscribers { table[subscriber.stream] = subscriber }
        }
    }

    func deliver(_ inbound: Inbound, from peer: String) {
        switch inbound {
        case .events(let batch): find(batch.header.stream, batch.header.lane, peer)?.receive(inbound)
        case .page(let batch): find(batch.header.stream, batch.header.lane, peer)?.receive(inbound)
        case .beacon(let beacon): find(beacon.stream, beacon.lane, peer)?.receive(inbound)
        case .welcome(let welcome): find(welcome.stream, welcome.lane, peer)?.receive(inbound)
        case .control(let control, _):
            switch control.what {
            case .copied, .snapshotting, .refused: find(control.stream, control.lane, peer)?.receive(inbound)
            case .copies, .snapshot: letters.push((inbound, peer))
            }
        case .hello, .pullPage, .position: letters.push((inbound, peer))
        }
    }

    /// Facts come from the service they are named after; commands from whoever sent the letter.
    private func find(_ stream: String, _ lane: Lane, _ peer: String) -> Subscriber? {
        guard stream == peer || stream.hasPrefix("cmd.") else { return nil }
        return byStream.withLock {
            $0[StreamName(publisher: peer, stream: stream, lane: lane)]
        }
    }
}

/// Cuts stamped events into live messages and gives them to the sockets' thread.
final class Publisher: Sendable {
    private let name: String
    private let recent: RecentEvents
    private let thread = Mutex<BusThread?>(nil)

    init(name: String, recent: RecentEvents) {
        self.name = name
        self.recent = recent
    }

    func attach(_ thread: BusThread) { self.thread.withLock { $0 = thread } }

    func publish(_ head: StreamHead, _ before: Link, _ entries: [RecentEvents.Entry]) {
        guard !entries.isEmpty, let thread = thread.withLock({ $0 }) else { return }
        recent.append(entries, stream: head.stream, lane: head.lane)
        let isCommand = head.stream.hasPrefix("cmd.")
        for batch in PublisherDecisions.liveBatches(head, after: before, entries, from: isCommand ? name : nil) {
            send(batch, isCommand, thread)
        }
        thread.post(.beacon)
    }

    private func send(_ batch: EventBatch, _ isCommand: Bool, _ thread: BusThread) {
        if isCommand {
            let target = String(batch.header.stream.dropFirst(4))
            guard let frames = try? Wire.letter("EVT", batch.header, batch.bodies) else { return }
            thread.post(.letter(to: target, frames))
        } else if let frames = try? Wire.live(batch) {
            thread.post(.publish(frames))
        }
    }
}
