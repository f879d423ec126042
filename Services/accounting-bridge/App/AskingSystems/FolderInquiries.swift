import Contracts
import Primitives

/// Questions through a folder: `questions/prices-<key>.json` is answered by a file of the same name in `answers`.
struct FolderInquiries: InquiryChannel {
    let folder: ExchangeFolder
    /// Seconds for which an answer is waited for.
    let patience: Double

    /// Seconds between two looks for it.
    private static let pause = 0.2
    static let questions = "questions"
    static let answers = "answers"

    func ask<Value: Sendable>(
        _ inquiry: Inquiry, _ wire: ExchangeWire, understand: @Sendable (InquiryAnswer) throws -> (Value, [String])
    ) async throws -> (value: Value, exchange: ID) {
        let name = "\(inquiry.kind.rawValue)-\(inquiry.key)"
        let question = "\(folder.path)/\(Self.questions)/\(name).json"
        let body = Array(inquiry.body.text.utf8)
        let entry = try await wire.open(
            "inquiry.\(inquiry.kind.rawValue)", "WRITE", "\(Self.questions)/\(name).json", body, direction: "out")
        var bytes: [UInt8] = []
        do {
            try await folder.work { try Files.write(body, to: question) }
            let answer = try await answer(name, inquiry.kind)
            bytes = answer.bytes
            let (value, understood) = try understand(answer)
            try await wire.close(entry, status: nil, bytes, .ok(understood))
            return (value, entry)
        } catch let failure {
            // Nobody waits for it any more.
            try? await folder.work { try Files.remove(question) }
            let words =
                (failure as? DriverFailure)?.words
                ?? (failure is CancellationError ? "прервано остановкой службы" : "ошибка на нашей стороне: \(failure)")
            try? await Task { [bytes] in try await wire.close(entry, status: nil, bytes, .failed(words)) }.value
            throw failure
        }
    }

    /// The answer, taken out of the folder with its question.
    private func answer(_ name: String, _ kind: Inquiry.Kind) async throws -> InquiryAnswer {
        let place = "\(folder.path)/\(Self.answers)/\(name)"
        let types = kind == .print ? ["pdf": "application/pdf", "png": "image/png", "json": nil] : ["json": nil]
        let deadline = ContinuousClock.now + .seconds(patience)
        while ContinuousClock.now < deadline {
            let found = try await folder.work { () -> InquiryAnswer? in
                for (suffix, type) in types where try Files.exists("\(place).\(suffix)") {
                    let bytes = try Files.read("\(place).\(suffix)", limit: Inquiry.answerLimit + 1)
                    // The question first: as long as it lies there it may be answered once more.
                    try Files.remove("\(folder.path)/\(Self.questions)/\(name).json")
                    try Files.remove("\(place).\(suffix)")
                    guard bytes.count <= Inquiry.answerLimit else {
                        throw DriverFailure.refused("ответ больше \(Inquiry.answerLimit) байт")
                    }
                    return InquiryAnswer(bytes: bytes, type: type)
                }
                return nil
            }
            if let found { return found }
            try await Task.sleep(for: .seconds(Self.pause))
        }
        throw DriverFailure.away("программа не ответила за \(Int(patience)) с")
    }
}
