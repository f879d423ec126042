import Contracts
import Hummingbird
import NIOCore
import Postgres
import Primitives
import ServiceKit

/// Receipts of a booking or an order, and their prints, asked of the bases that keep the money (ONEC-21).
struct ReceiptRoutes: Sendable {
    let desk: InquiryDesk
    let settings: SuiteSettings

    struct Receipts: AnswerShape {
        struct Unasked: AnswerShape { let base, reason: String }
        let items: [Receipt]
        /// Bases whose word is missing from the answer.
        let unasked: [Unasked]
        let asOf: Timestamp
    }
    /// An order that the question names, or the booking's.
    private struct Known {
        let number, organization: String
        let booking: String?
        let journey: ID?
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/receipts") { request, context in
            try context.require("manager", "head", "accountant", "integrator", "reader")
            return try Response.json(
                try await receipts(booking: request.query("booking"), order: request.query("order")))
        }
        router.get("/api/v1/receipts/:base/:id/print") { _, context in
            try context.require("manager", "head", "accountant", "integrator")
            return try await print(
                try context.text("id"), of: try context.text("base"))
        }
    }

    func receipts(booking: String?, order: String?) async throws -> Receipts {
        guard (booking == nil) != (order == nil), let asked = booking ?? order, (1...64).contains(asked.count) else {
            throw Problem.badRequest("either booking or order is wanted, with 1 to 64 characters")
        }
        let known = try await known(booking: booking, order: order)
        // What was paid for the booking before there was an order of it names the booking alone.
        let booking = booking ?? known.lazy.compactMap(\.booking).first
        let orders = known.isEmpty ? [order].compactMap { $0 } : known.map(\.number)
        let body: [String: RawJSON] = [
            "booking": booking.map { .string($0.withoutNUL) } ?? .null,
            "orders": .array(orders.map { .string($0.withoutNUL) }),
        ]
        var (items, unasked) = ([Receipt](), [Receipts.Unasked]())
        for base in bases(of: known) {
            do {
                let found = try await desk.ask(
                    base, Inquiry(kind: .receipts, body: .object(body)),
                    order: known.first.map { ($0.number, $0.journey) }
                ) { [currency = settings.company.currency] answer in
                    let list = try Receipt.list(answer, base: base, asked: (booking, Set(orders)), in: currency)
                    return (list, ["чеков: \(list.count)"])
                }.value
                items += try await onOurClock(found, base: base)
            } catch let problem as Problem {
                unasked.append(.init(base: base, reason: problem.detail ?? problem.title))
            }
        }
        return Receipts(items: items.sorted { ($0.at, $0.id) < ($1.at, $1.id) }, unasked: unasked, asOf: .now())
    }

    /// 1C's own times have no zone: they are on its server's clock.
    private func onOurClock(_ receipts: [Receipt], base: String) async throws -> [Receipt] {
        guard let zone = settings.bases.first(where: { $0.base == base })?.timeZone else { return receipts }
        var receipts = receipts
        for index in receipts.indices where receipts[index].isOnBaseClock {
            receipts[index].at = try await desk.pool.query(
                "SELECT ($1::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE $2 AS at",
                [.time(receipts[index].at), .text(zone)]
            )[0].time("at")
        }
        return receipts
    }

    /// Orders of one booking that are asked for at most.
    private static let orderLimit = 20

    /// The orders of a booking, or the order itself with the others of its booking.
    private func known(booking: String?, order: String?) async throws -> [Known] {
        try await desk.pool.query(
            """
            SELECT number, journey_id, request->>'organization' AS organization, request->>'bookingId' AS booking FROM order_out
            WHERE number = $1 OR request->>'bookingId' = coalesce($2, (
                SELECT request->>'bookingId' FROM order_out WHERE number = $1)) ORDER BY (number = $1) DESC NULLS LAST, requested_at DESC LIMIT \(Self.orderLimit)
            """, [.text(order), .text(booking)]
        ).map {
            Known(
                number: try $0.string("number"), organization: try $0.string("organization"),
                booking: try $0.optionalString("booking"), journey: try $0.optionalID("journey_id"))
        }
    }

    /// The bases that keep the orders' money; all that can be asked when there is no such order, for a booking need not be one.
    private func bases(of known: [Known]) -> [String] {
        let keepers = known.compactMap { order -> String? in
            guard let organization = settings.organization(order.organization) else { return nil }
            return organization.keeper(of: "payment") ?? settings.base(of: organization)?.base
        }
        return keepers.isEmpty ? desk.bases.sorted() : Set(keepers).sorted()
    }

    /// - Returns: the print as it came.
    private func print(_ id: String, of base: String) async throws -> Response {
        guard (1...100).contains(id.count) else { throw Problem.notFound("receipt") }
        let (file, _) = try await desk.ask(base, Inquiry(kind: .print, body: .object(["id": .string(id)]))) { answer in
            // By its first bytes: what it is called may be wrong, and a page must never be one of ours.
            let kinds: [(magic: [UInt8], type: String, suffix: String)] = [
                (Array("%PDF-".utf8), "application/pdf", "pdf"), ([0x89, 0x50, 0x4E, 0x47], "image/png", "png"),
            ]
            guard let kind = kinds.first(where: { answer.bytes.starts(with: $0.magic) }) else {
                _ = try answer.fields()
                throw DriverFailure.refused("печатная форма — PDF или PNG, а пришло другое")
            }
            return ((bytes: answer.bytes, kind: kind), ["печатная форма: \(answer.bytes.count) байт"])
        }
        return Response(
            status: .ok,
            headers: [
                .contentType: file.kind.type,
                .contentDisposition: "attachment; filename=\"receipt.\(file.kind.suffix)\"",
                .xContentTypeOptions: "nosniff", .cacheControl: "no-store",
            ], body: .init(byteBuffer: ByteBuffer(bytes: file.bytes)))
    }
}
