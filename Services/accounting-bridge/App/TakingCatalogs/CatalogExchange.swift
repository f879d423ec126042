import Messaging
import Postgres
import Primitives
import ServiceKit
import XMLStream

/// `type=catalog`: init, file × n, import × n, repeated while the answer is `progress` (reference 4). Pictures and files of other kinds are
/// kept in the journal and not read.
struct CatalogExchange: Sendable {
    let bus: EventBus
    let desk: CatalogDesk

    /// Bytes of a piece that we ask for: small, so that many bases at once need little memory.
    static let pieceAsked = 1024 * 1024
    /// Seconds that an `import` waits for its file: УТ gives 180, and asks again without a pause (reference 21, 22).
    private static let patience = 4.0
    /// Sessions without a file, one after another, before somebody is told.
    private static let emptyLimit = 3

    /// Exactly two lines (reference 14). With `zip=yes` an attempt that failed is made anew from the files; without, УНФ deletes
    /// them and drops its changes (reference 24).
    func opened(_ session: ID) async throws -> ExchangeJournal.Answer {
        try await bus.pool.query("UPDATE onec_session SET was_opened = true WHERE id = $1", [.id(session)])
        return .init(body: "zip=yes\nfile_limit=\(Self.pieceAsked)")
    }

    func file(_ size: Int, _ name: String, _ session: ID, exchange: ID) async throws -> ExchangeJournal.Answer {
        do {
            try await ReceivedFiles(pool: bus.pool).add(size, name, session: session, exchange: exchange)
        } catch let refusal as XMLRefusal {
            return .init(body: "failure\n\(refusal.reason)", result: "refused", reason: refusal.reason)
        }
        return .init(body: "success", understood: ["часть файла «\(name)» принята: \(size) байт"])
    }

    func importing(_ name: String, _ session: ID, exchange: ID) async throws -> ExchangeJournal.Answer {
        guard let place = try await ReceivedFiles(pool: bus.pool).find(name, session: session) else {
            let reason = "файл «\(name)» не был передан в этом сеансе"
            return .init(body: "failure\n\(reason)", result: "refused", reason: reason)
        }
        let state = try await desk.importing(place, exchange: exchange, seconds: Self.patience)
        guard state.isOver else {
            return .init(
                body: "progress\nпрочитано записей: \(state.read)",
                understood: ["файл «\(name)» читается: \(state.read)"])
        }
        // Stored safely: `failure` might make УНФ drop its changes (reference 24). What is wrong with it is ours to show.
        return .init(
            body: "success", result: state.state == "done" ? "ok" : "parked", reason: state.reason,
            understood: ["файл «\(name)»"] + state.understood)
    }

    /// A base that opens sessions and sends nothing loses its changes (reference 24): said once.
    func watchEmpty(_ base: String) async throws {
        let row = try await bus.pool.query(
            """
            SELECT count(*) AS n, count(*) FILTER (WHERE was_opened AND NOT EXISTS (
                SELECT 1 FROM file_piece p WHERE p.session = s.id)) AS empty
            FROM (SELECT id, was_opened FROM onec_session WHERE base = $1 AND type = 'catalog'
                ORDER BY started_at DESC LIMIT \(Self.emptyLimit)) AS s
            """, [.text(base)])[0]
        guard try row.int("n") == Self.emptyLimit, try row.int("empty") == Self.emptyLimit else { return }
        try await bus.transaction {
            try await BaseHealth.failing(
                base, .goods,
                "1С открывает сеансы обмена товарами и не передаёт ни одного файла: изменения могли потеряться, "
                    + "выгрузите товары целиком", in: $0)
        }
    }
}
