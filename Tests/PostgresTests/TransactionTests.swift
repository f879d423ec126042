import Foundation
import Postgres
import Testing

/// Against the server that deploy/test starts.
private let database = ProcessInfo.processInfo.environment["THROUGHLINE_TEST_DATABASE"]

@Suite(.enabled(if: database != nil, "THROUGHLINE_TEST_DATABASE is not set: run deploy/test"))
struct TransactionTests {
    private func configuration() -> PostgresConfiguration {
        PostgresConfiguration(url: database ?? "", applicationName: "test")
    }

    @Test func aCommitOfAFailedTransactionIsAnError() async throws {
        let connection = try await PostgresConnection(configuration())
        await #expect(throws: PostgresError.self) {
            try await connection.transaction { transaction in
                _ = try? await transaction.query("SELECT 1/0 AS x")
            }
        }
    }

    @Test func aViolatedConstraintIsNamed() async throws {
        let connection = try await PostgresConnection(configuration())
        try await connection.query("CREATE TEMP TABLE t (n int CONSTRAINT n_is_small CHECK (n < 10))")
        do {
            try await connection.query("INSERT INTO t VALUES ($1)", [.int(11)])
            Issue.record("the row was taken")
        } catch let error as PostgresError {
            #expect(error.constraint == "n_is_small")
            #expect(error.sqlState == "23514" && !error.isTransient)
        }
        #expect(try await connection.query("SELECT count(*) AS n FROM t")[0].int("n") == 0)
    }

    @Test func afterAFailureTheNextBorrowerFindsACleanSession() async throws {
        var alone = configuration()
        alone.connectionLimit = 1
        let pool = PostgresPool(alone)
        try await pool.query("CREATE TEMP TABLE t (n int PRIMARY KEY)")
        for round in 0..<3 {
            await #expect(throws: PostgresError.self) {
                try await pool.transaction { transaction in
                    try await transaction.query("INSERT INTO t VALUES (1)")
                    try await transaction.query("INSERT INTO t SELECT 1 WHERE \(round) = \(round)")
                }
            }
            #expect(try await pool.query("SELECT count(*) AS n FROM t")[0].int("n") == 0)
        }
    }

    @Test func aTextThatCannotBeStoredLeavesNothingBehind() async throws {
        var alone = configuration()
        alone.connectionLimit = 1
        let pool = PostgresPool(alone)
        do {
            try await pool.run([
                Statement("SELECT 1 AS fresh_one"), Statement("SELECT $1::text AS x", [.text("a\0b")]),
            ])
            Issue.record("U+0000 was sent")
        } catch let error as PostgresError {
            #expect(error.sqlState == "22021" && !error.isTransient)
        }
        let answers = try await pool.run([Statement("SELECT 2 AS n"), Statement("SELECT 3 AS n")])
        #expect(try answers.map { try $0[0].int("n") } == [2, 3])
    }

    @Test func valuesComeBackAsTheyWere() async throws {
        let connection = try await PostgresConnection(configuration())
        let row = try await connection.query(
            "SELECT $1::bytea AS b, $2::text[] AS t, $3::bigint[] AS i, $4::text AS nothing, $5::bytea[] AS bs",
            [
                .bytes([0, 1, 254, 255]), .texts(["a", nil]), .ints([1, -2]), .text(nil),
                .byteArrays([[0], [255, 92]]),
            ])[0]
        #expect(try row.bytes("b") == [0, 1, 254, 255])
        #expect(try row.list("i") == ["1", "-2"])
        #expect(try row.optionalString("nothing") == nil)
    }

    @Test func aLongPipelineDoesNotWaitForItself() async throws {
        let connection = try await PostgresConnection(configuration())
        let big = String(repeating: "x", count: 200_000)
        let answers = try await connection.run(
            (0..<60).map { _ in Statement("SELECT $1::text AS x", [.text(big)]) })
        #expect(answers.count == 60)
    }

    @Test func aCancelledTaskStopsItsStatement() async throws {
        var patient = configuration()
        patient.statementTimeout = 60
        let connection = try await PostgresConnection(patient)
        let other = try await PostgresConnection(configuration())
        // Asked for before the statement runs: while it does, the connection answers nothing else.
        let pid = await connection.backendPID
        let task = Task { try await connection.query("SELECT pg_sleep(50)::text AS x") }
        let start = ContinuousClock.now
        func isSleeping() async throws -> Bool {
            try await !other.query(
                "SELECT 1 AS one FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", [.int(pid)]
            ).isEmpty
        }
        while try await !isSleeping() {
            try #require(ContinuousClock.now - start < .seconds(30), "the statement never began")
        }
        task.cancel()
        await #expect(throws: (any Error).self) { try await task.value }
        #expect(try await !isSleeping())
        #expect(ContinuousClock.now - start < .seconds(40), "it ended by being cancelled")
    }

    /// A statement that was given more time than the session is not taken for a server that has fallen silent.
    @Test func aStatementMayBeGivenMoreTime() async throws {
        var hasty = configuration()
        hasty.statementTimeout = 1
        let connection = try await PostgresConnection(hasty)
        try await connection.query("SET statement_timeout = 0")
        var slow = Statement("SELECT pg_sleep(7)::text AS x")
        await #expect(throws: PostgresError.self) { try await connection.run([slow]) }
        let other = try await PostgresConnection(hasty)
        try await other.query("SET statement_timeout = 0")
        slow.patience = 30
        #expect(try await other.run([slow])[0].count == 1)
    }

    @Test func aBackendKilledInTheMiddleIsAPassingError() async throws {
        let connection = try await PostgresConnection(configuration())
        let other = try await PostgresConnection(configuration())
        try await other.query("SELECT pg_terminate_backend($1)", [.int(await connection.backendPID)])
        do {
            try await connection.query("SELECT 1 AS one")
            try await connection.query("SELECT 1 AS one")
            Issue.record("the connection lives")
        } catch let error as PostgresError { #expect(error.isTransient) }
    }

    @Test func aPoolGivesUpAfterItsWaitingTime() async throws {
        var limited = configuration()
        limited.connectionLimit = 1
        limited.waitLimit = 0.2
        let pool = PostgresPool(limited)
        try await pool.withConnection { (_: PostgresConnection) -> Void in
            _ = await #expect(throws: PostgresError.self) { try await pool.query("SELECT 1 AS one") }
        }
        #expect(await pool.isReachable())
        await pool.close()
    }

    @Test func aMigrationRunsOnceAndMayNotBeEdited() async throws {
        let pool = PostgresPool(configuration())
        let schema = "migration_\(UInt32.random(in: 0 ... .max))"
        try await pool.query("CREATE SCHEMA \(schema)")
        func migrator(_ sql: String) -> Migrator {
            Migrator(schema: schema, [Migration(1, "one.sql", Array(sql.utf8))], checksum: { "\($0.count)" })
        }
        #expect(try await migrator("CREATE TABLE a (n int)").migrate(pool) == [1])
        #expect(try await migrator("CREATE TABLE a (n int)").migrate(pool) == [])
        await #expect(throws: PostgresError.self) { try await migrator("CREATE TABLE a (n bigint)").migrate(pool) }
        await pool.close()
    }
}
