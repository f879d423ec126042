import Dispatch

/// Runs an actor on a private serial queue, so that a blocking libpq call holds its own thread and never
/// the cooperative pool (reference swift-on-linux §5: private serial queues start at once).
final class SerialQueueExecutor: SerialExecutor {
    private let queue: DispatchQueue

    init(label: String) { queue = DispatchQueue(label: label) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = asUnownedSerialExecutor()
        queue.async { job.runSynchronously(on: executor) }
    }
}
