import Dispatch

/// Runs an actor on a private serial queue, so that a blocking libpq call holds its own thread and never
/// the cooperative pool (reference swift-on-linux §5: private serial queues start at once).
///
/// It also runs the tasks that hold its connection: a transaction's own steps then follow each other on one thread instead of being
/// handed from thread to thread at each statement.
final class SerialQueueExecutor: SerialExecutor, TaskExecutor {
    private let queue: DispatchQueue

    init(label: String) { queue = DispatchQueue(label: label) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = asUnownedSerialExecutor()
        queue.async { job.runSynchronously(isolatedTo: executor, taskExecutor: self.asUnownedTaskExecutor()) }
    }
}
