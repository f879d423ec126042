import Primitives

/// One comparison at a time for the people who wait before a page: it may take longer than a browser waits.
actor ComparisonAtWork {
    private var task: Task<Reconciliation.Answer, any Error>?
    private var last: Result<Reconciliation.Answer, any Error>?
    private var ended = ContinuousClock.now

    /// Seconds for which a page waits before it says that the comparison is under way.
    static let patience = 5.0
    /// Seconds for which an answer is one to a page that has waited for it.
    private static let freshness = 120.0

    /// What a comparison has found.
    ///
    /// - Parameters:
    ///   - anew: begins one unless one is under way; otherwise that one is waited for, or the last one answers.
    ///   - compare: does it.
    /// - Returns: nil while it is under way.
    func answer(
        anew: Bool, _ compare: @escaping @Sendable () async throws -> Reconciliation.Answer
    ) async throws -> Reconciliation.Answer? {
        if ended.duration(to: .now).seconds > Self.freshness { last = nil }
        if task == nil, anew || last == nil {
            let work = Task { try await compare() }
            task = work
            Task { finish(await work.result) }
        }
        let deadline = ContinuousClock.now + .seconds(Self.patience)
        while task != nil {
            guard ContinuousClock.now < deadline else { return nil }
            try await Task.sleep(for: .milliseconds(50))
        }
        return try last?.get()
    }

    private func finish(_ result: Result<Reconciliation.Answer, any Error>) {
        (task, last, ended) = (nil, result, .now)
    }
}
