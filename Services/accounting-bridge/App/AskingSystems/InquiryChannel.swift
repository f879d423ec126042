import Primitives

/// The way on which a system is asked a question and answers it.
protocol InquiryChannel: Sendable {
    /// Asks, and waits for the answer.
    ///
    /// - Parameter understand: what the answer means; its error is kept in the journal as the reason, and thrown.
    /// - Returns: what it means, and where the exchange stands in the journal.
    /// - Throws: ``DriverFailure``. A question changes nothing: it is ``DriverFailure/away(_:)`` also when the answer was lost.
    func ask<Value: Sendable>(
        _ inquiry: Inquiry, _ wire: ExchangeWire, understand: @Sendable (InquiryAnswer) throws -> (Value, [String])
    ) async throws -> (value: Value, exchange: ID)
}
