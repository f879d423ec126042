import NIOCore

/// Runs tasks on an event loop's own thread. The HTTP face runs whole on one loop: a request is read, worked and answered
/// without changing threads, but where it waits for the database. Nothing there may block.
final class EventLoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
