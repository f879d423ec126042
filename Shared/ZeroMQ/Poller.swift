internal import CZeroMQ
import Glibc

/// Waits until one of the sockets can be read or the waker was poked.
///
/// - Returns: for each socket whether it has something, in order.
public func wait(
    for sockets: [Socket], or waker: Waker, milliseconds: Int
) throws -> [Bool] {
    var items = sockets.map {
        zmq_pollitem_t(socket: $0.pointer, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0)
    }
    items.append(
        zmq_pollitem_t(
            socket: nil, fd: waker.descriptor, events: Int16(ZMQ_POLLIN), revents: 0))
    guard zmq_poll(&items, Int32(items.count), milliseconds) >= 0 || zmq_errno() == EINTR else {
        throw ZeroMQError.last("poll")
    }
    if items[sockets.count].revents != 0 { waker.rest() }
    return items.dropLast().map { $0.revents != 0 }
}

/// Wakes a polling thread from any other: an eventfd, which `zmq_poll` takes beside sockets.
public final class Waker: Sendable {
    let descriptor: Int32

    public init() {
        descriptor = throughline_waker()
        precondition(descriptor >= 0, "no descriptors left")
    }

    deinit { close(descriptor) }

    public func poke() { throughline_waker_poke(descriptor) }

    func rest() {
        throughline_waker_rest(descriptor)
    }
}

/// Starts a thread of its own for blocking work. All signals are blocked in it, so that they reach
/// the one thread that waits for them (reference 27).
///
/// - Parameter value: what belongs to that thread from now on and to nobody else, such as its sockets: starting a thread is the
///   full fence that libzmq asks for when a socket changes its thread.
public func startThread<Value>(
    _ name: String, with value: sending Value, _ body: @escaping @Sendable (consuming Value) -> Void
) {
    // Given away whole: sockets that the thread lets go of must close then, and not when it ends.
    var held = Optional(value)
    let start = Unmanaged.passRetained(ThreadStart(name, { body(held.take()!) }))
    var thread = pthread_t()
    let result = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_SETMASK, &all, nil)
            throughline_name_thread(String(start.name.prefix(15)))
            start.body()
            return nil
        }, start.toOpaque())
    precondition(result == 0, "no thread could be started")
    pthread_detach(thread)
}

/// What a new thread is told at its start.
private final class ThreadStart {
    let name: String
    let body: () -> Void
    init(_ name: String, _ body: @escaping () -> Void) {
        self.name = name
        self.body = body
    }
}
