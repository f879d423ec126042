import Contracts
import Foundation
import Postgres
import Primitives
import Testing

@testable import Messaging

extension OnARealBus {
    /// What a person decides about streams that have stopped, on a real bus.
    @Suite struct EventBusDecisionTests {
        private func say(_ numbers: some Sequence<Int>, _ bus: EventBus, lane: Lane = .main) async throws {
            for number in numbers {
                _ = try await bus.transaction { transaction in
                    try transaction.emit(
                        Said(number: number), key: "k\(number % 3)", correlation: nil, causation: nil, lane: lane)
                }
            }
        }

        private func phase(_ bus: EventBus, _ pair: Pair) -> String {
            bus.subscriptions.first { $0.name == pair.stream }?.phase ?? ""
        }

        /// What an older copy of the publisher's database looks like: everything after `seq` never happened.
        private func restore(_ pair: Pair, upTo seq: Int) async throws {
            let schema = pair.talker.schema
            try await pair.pool.query(
                """
                DELETE FROM \(schema).event AS e USING \(schema).event_no AS n
                WHERE n.event_day = e.day AND n.event_id = e.id AND n.seq > \(seq)
                """)
            try await pair.pool.query("DELETE FROM \(schema).event_run WHERE first > \(seq)")
            try await pair.pool.query(
                """
                UPDATE \(schema).event_run SET last = \(seq), event_days = event_days[:\(seq) - first + 1],
                    event_ids = event_ids[:\(seq) - first + 1], links = links[:\(seq) - first + 1] WHERE last > \(seq)
                """)
            try await pair.pool.query("UPDATE \(schema).day_range SET last = \(seq)")
            try await pair.pool.query(
                "UPDATE \(schema).stream_head AS h SET seq = \(seq), link = n.link FROM \(schema).event_no AS n WHERE n.seq = \(seq) AND n.stream = h.stream AND n.lane = h.lane"
            )
        }

        private func sayInThePast(_ number: Int, _ pair: Pair) async throws {
            let id = ID.make()
            let body = """
                {"data":{"number":\(number)},"datacontenttype":"application/json","id":"\(id)","partitionkey":"k","source":"/talker",\
                "specversion":"1.0","subject":"k","time":"2020-01-01T00:00:00.000Z","type":"\(Said.type)"}
                """
            try await pair.pool.query(
                """
                INSERT INTO \(pair.talker.schema).event (stream, lane, key, type, event_id, at, digest, body)
                VALUES ($1, 'main', 'k', $2, $3, '2020-01-01', sha256($4), $4)
                """, [.text(pair.talker.name), .text(Said.type), .id(id), .bytes(Array(body.utf8))])
        }

        /// What retention leaves of the listener's copies.
        private func dropCopies(_ pair: Pair, upTo seq: Int) async throws {
            let runs = "\(pair.listener.schema).inbox_run"
            let rest = ["event_ids", "types", "ats", "links", "bodies"].map { "\($0) = \($0)[\(seq) - first + 2:]" }
            try await pair.pool.query("DELETE FROM \(runs) WHERE last <= \(seq)")
            try await pair.pool.query(
                "UPDATE \(runs) SET first = \(seq + 1), \(rest.joined(separator: ", ")) WHERE first <= \(seq)")
        }

        /// A talker that has lost all events after `kept` and said 5 others since, and a listener that has taken the lost ones.
        private func forked(kept: Int = 30) async throws -> (
            Pair, talker: EventBus, listener: EventBus, [Task<Void, any Error>]
        ) {
            let pair = try await Pair()
            let first = try pair.bus(pair.talker)
            let listener = try pair.bus(pair.listener, pair.hearing())
            let listening = Task { try await listener.run() }
            let talking = Task { try await first.run() }
            try await pair.until { first.missing == nil && listener.missing == nil }
            try await say(100..<150, first)
            try await pair.until { try await pair.heard().count == 50 }
            talking.cancel()
            _ = try? await talking.value
            try await restore(pair, upTo: kept)
            let talker = try pair.bus(pair.talker)
            let again = Task { try await talker.run() }
            try await pair.until { talker.missing == nil }
            try await say(200..<205, talker)
            try await pair.until { phase(listener, pair).hasPrefix("FORKED") }
            #expect(try await pair.heard().count == 50)
            return (pair, talker, listener, [listening, again])
        }

        @Test func aHealBringsBackWhatThePublisherLostAndNothingIsDoneTwice() async throws {
            let (pair, talker, listener, running) = try await forked()
            // Without the publisher's consent it is refused, and the stream stays stopped.
            try await listener.decide(.heal, stream: pair.stream, by: "Anna", reason: "restored from a backup")
            try await pair.until { phase(listener, pair).hasPrefix("FORKED") }
            try await talker.allowCopies(from: pair.listener.name, by: "Anna", reason: "restored from a backup")
            try await listener.decide(.heal, stream: pair.stream, by: "Anna", reason: "restored from a backup")
            try await pair.until(60) { try await pair.heard().count == 55 && phase(listener, pair) == "LIVE" }
            let heard = try await pair.heard().map(\.number)
            #expect(heard == Array(100..<150) + Array(200..<205))
            let log = try await pair.pool.query(
                "SELECT count(*) AS n, max(seq) AS last FROM \(pair.talker.schema).event_no")[0]
            #expect(try log.int("n") == 55 && log.int("last") == 55)
            let copies = try await pair.pool.query(
                "SELECT count(*) AS n, count(DISTINCT seq) AS different, max(seq) AS last FROM \(pair.listener.schema).inbox"
            )[0]
            #expect(try copies.int("n") == 55 && copies.int("different") == 55 && copies.int("last") == 55)
            let decided = try await listener.decisions(limit: 9)
            #expect(decided.contains { $0.what == "heal" && $0.by == "Anna" && $0.outcome.contains("#30") })
            // It goes on, each event once.
            try await say(300..<310, talker)
            try await pair.until { try await pair.heard().count == 65 }
            for task in running { task.cancel() }
        }

        @Test func anAcceptedLossIsKeptApartAndRecorded() async throws {
            let (pair, talker, listener, running) = try await forked()
            try await listener.decide(.acceptLoss, stream: pair.stream, by: "Anna", reason: "the publisher is right")
            try await pair.until(60) { try await pair.heard().count == 55 && phase(listener, pair) == "LIVE" }
            #expect(Array(try await pair.heard().map(\.number).suffix(5)) == Array(200..<205))
            let kept = try await pair.pool.query("SELECT count(*) AS n FROM \(pair.listener.schema).forked_copy")[0]
            #expect(try kept.int("n") == 20)
            try await say(300..<303, talker)
            try await pair.until { try await pair.heard().count == 58 }
            for task in running { task.cancel() }
        }

        /// The oldest copy is younger than the last common event: what lies between is known by its time.
        @Test(arguments: [StreamDecision.heal, .acceptLoss])
        func whatNoCopyTellsOfIsNotDoneTwice(_ decision: StreamDecision) async throws {
            let (pair, talker, listener, running) = try await forked(kept: 8)
            try await dropCopies(pair, upTo: 20)
            try await talker.allowCopies(from: pair.listener.name, by: "Anna", reason: "an old backup")
            try await listener.decide(decision, stream: pair.stream, by: "Anna", reason: "an old backup")
            try await pair.until(60) { try await pair.heard().count >= 55 && phase(listener, pair) == "LIVE" }
            try await say(300..<310, talker)
            try await pair.until { try await pair.heard().map(\.number).contains(309) }
            // #9 to #13 are numbers of the lost ones and of the new ones: only the new ones are done.
            #expect(try await pair.heard().map(\.number) == Array(100..<150) + Array(200..<205) + Array(300..<310))
            // One that is as old and has a new number was given back by another's copies, or was not: a person finds out.
            try await sayInThePast(999, pair)
            try await say([310], talker)
            try await pair.until { try await pair.heard().map(\.number).contains(310) }
            #expect(try await pair.heard().count == 66)
            let parked = try await pair.pool.query("SELECT reason FROM \(pair.listener.schema).parked")
            #expect(
                try parked.map { try $0.string("reason") }.allSatisfy {
                    $0.contains("nobody knows whether it was done")
                })
            #expect(parked.count == 1)
            let outcome = try #require(try await listener.decisions(limit: 9).first { $0.what == decision.rawValue })
                .outcome
            #expect(outcome.hasPrefix("goes on from #0; no copies are left up to #20: "), "\(outcome)")
            for task in running { task.cancel() }
        }

        /// After a settled fork the same number stands for another event.
        @Test func aNumberThatComesAgainWithAnotherEventIsSetAsideAgain() async throws {
            let pair = try await Pair()
            let talker = try pair.bus(pair.talker)
            let listener = try pair.bus(pair.listener, pair.hearing())
            try await pair.pool.query(
                """
                INSERT INTO \(pair.listener.schema).parked (id, publisher, stream, lane, seq, type, key, reason, attempts,
                    behind, body, settled_at)
                VALUES (gen_random_uuid(), $1, $1, 'main', 1, 'old', 'k', 'earlier', 1, false, '', now())
                """, [.text(pair.talker.name)])
            let running = [Task { try await talker.run() }, Task { try await listener.run() }]
            try await pair.until { talker.missing == nil && listener.missing == nil }
            try await say([13, 5], talker)
            try await pair.until { try await pair.heard().map(\.number) == [5] }
            let parked = try await pair.pool.query(
                "SELECT reason FROM \(pair.listener.schema).parked WHERE seq = 1 AND settled_at IS NULL")
            #expect(try parked.map { try $0.string("reason") } == ["thirteen is not taken"])
            for task in running { task.cancel() }
        }

        @Test func aHoleIsShownAndTheStateIsTakenInstead() async throws {
            let pair = try await Pair()
            let talker = try pair.bus(
                pair.talker,
                snapshot: { _, speak in
                    try await speak(.flushed) { transaction in
                        try transaction.emit(Said(number: 777), key: "state", correlation: nil, causation: nil)
                    }
                    return 1
                })
            let talking = Task { try await talker.run() }
            try await pair.until { talker.missing == nil }
            try await say(100..<120, talker)
            try await pair.until { talker.heads.values.contains(20) }
            talking.cancel()
            _ = try? await talking.value
            // The first ten are no longer kept.
            try await pair.pool.query(
                "UPDATE \(pair.talker.schema).day_range SET first = 11, before = (SELECT link FROM \(pair.talker.schema).event_no WHERE seq = 10)"
            )
            try await pair.pool.query("DELETE FROM \(pair.talker.schema).event_run WHERE last <= 10")
            let again = try pair.bus(
                pair.talker,
                snapshot: { _, speak in
                    try await speak(.flushed) { transaction in
                        try transaction.emit(Said(number: 777), key: "state", correlation: nil, causation: nil)
                    }
                    return 1
                })
            let listener = try pair.bus(pair.listener, pair.hearing())
            let running = [Task { try await again.run() }, Task { try await listener.run() }]
            try await pair.until { phase(listener, pair).hasPrefix("HOLE") }
            #expect(try await pair.heard().isEmpty)
            try await listener.decide(.bootstrap, stream: pair.stream, by: "Anna", reason: "away too long")
            try await pair.until(30) { try await pair.heard().count == 1 }
            try await say([120], again)
            try await pair.until { try await pair.heard().map(\.number) == [777, 120] }
            #expect(
                try await listener.decisions(limit: 9).contains {
                    $0.what == "bootstrap" && $0.outcome.contains("were not taken")
                })
            for task in running { task.cancel() }
        }

        @Test func aLogFromAnotherClusterIsNumberedOnInANewEpoch() async throws {
            let pair = try await Pair()
            let first = try pair.bus(pair.talker)
            let listener = try pair.bus(pair.listener, pair.hearing())
            let listening = Task { try await listener.run() }
            let talking = Task { try await first.run() }
            try await pair.until { first.missing == nil && listener.missing == nil }
            try await say(100..<110, first)
            try await pair.until { try await pair.heard().count == 10 }
            talking.cancel()
            _ = try? await talking.value
            // As a dump looks in its new cluster: another identifier, transaction numbers of elsewhere, and two not numbered yet.
            let schema = pair.talker.schema
            try await pair.pool.query(
                "UPDATE \(schema).stream_head SET system_identifier = 1, snapshot = '900000000:900000000:'")
            try await pair.pool.query("UPDATE \(schema).event SET xid = '900000000'")
            let late = try pair.bus(pair.talker)
            try await say([110, 111], late)
            try await pair.pool.query("UPDATE \(schema).event SET xid = '900000001' WHERE id > 10")
            let talker = try pair.bus(pair.talker)
            let again = Task { try await talker.run() }
            try await pair.until { try await pair.heard().count == 12 }
            try await say(112..<120, talker)
            try await pair.until { try await pair.heard().count == 20 }
            #expect(try await pair.heard().map(\.number) == Array(100..<120))
            let heads = try await pair.pool.query("SELECT epoch FROM \(schema).stream_head WHERE lane = 'main'")
            #expect(try heads[0].int("epoch") == 2)
            #expect(try await talker.decisions(limit: 9).contains { $0.what == "rebase" })
            listening.cancel()
            again.cancel()
        }

        /// A quiet sequence writes down how far it has looked after many events of others. What a transaction had written by then
        /// and commits later must still get its number.
        @Test func whatWasUnderWayWhenAQuietSequenceMovedIsNotLost() async throws {
            let pair = try await Pair()
            let talker = try pair.bus(pair.talker)
            let running = Task { try await talker.run() }
            try await pair.until { talker.missing == nil }
            try await say([1], talker)
            try await pair.until { talker.heads["\(pair.talker.name)/main"] == 1 }
            func snapshot() async throws -> String {
                try await pair.pool.query(
                    "SELECT snapshot::text AS s FROM \(pair.talker.schema).stream_head WHERE lane = 'main' AND stream = '\(pair.talker.name)'"
                )[0].string("s")
            }
            let before = try await snapshot()
            // An event on `main` in a transaction that stays open.
            let open = try await PostgresConnection(pair.talker.database)
            try await open.query("BEGIN")
            let draft = try EventDraft(
                Said(number: 2), source: pair.talker.name, key: "k", correlation: nil, causation: nil)
            try await open.run([EventLog.append([draft])])
            for _ in 0..<11 {
                try await talker.transaction { transaction in
                    for number in 0..<1000 {
                        try transaction.emit(
                            Said(number: number), key: "k", correlation: nil, causation: nil, lane: .bulk)
                    }
                }
            }
            try await pair.until { try await snapshot() != before }
            #expect(talker.heads["\(pair.talker.name)/main"] == 1)
            try await open.query("COMMIT")
            try await pair.until { talker.heads["\(pair.talker.name)/main"] == 2 }
            await open.close()
            running.cancel()
        }

        @Test func aMassOnTheBulkLaneHoldsNothingBackOnMain() async throws {
            let pair = try await Pair()
            let talker = try pair.bus(pair.talker)
            let listener = try pair.bus(pair.listener, pair.hearing())
            let running = [Task { try await talker.run() }, Task { try await listener.run() }]
            try await pair.until { talker.missing == nil && listener.missing == nil }
            try await listener.decide(
                .pause, stream: pair.stream.replacing("/main", with: "/bulk"), by: "Anna", reason: "a look")
            try await say(1000..<1050, talker, lane: .bulk)
            try await say(1..<4, talker)
            try await pair.until { try await pair.heard().map(\.number) == [1, 2, 3] }
            try await listener.decide(
                .resume, stream: pair.stream.replacing("/main", with: "/bulk"), by: "Anna", reason: "seen")
            try await pair.until { try await pair.heard().count == 53 }
            #expect(Array(try await pair.heard().map(\.number).suffix(50)) == Array(1000..<1050))
            for task in running { task.cancel() }
        }

        @Test func whoWasSupersededEndsInsteadOfWorkingBesideAnother() async throws {
            let pair = try await Pair()
            let first = try pair.bus(pair.talker)
            let leading = Task { try await first.run() }
            try await pair.until { first.missing == nil }
            let second = try pair.bus(pair.talker)
            let standby = Task { try await second.run() }
            try await pair.until { second.missing?.contains("lease") == true }
            // The leader's session ends as it does when its network is cut, and the standby is faster.
            let lock =
                "SELECT l.pid FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND a.application_name = 'talker' AND l.granted"
            for row in try await pair.pool.query(lock) {
                try await pair.pool.query("SELECT pg_terminate_backend($1::int)", [.int(try row.int("pid"))])
            }
            try await pair.until(20) { (first.missing == nil) != (second.missing == nil) }
            if second.missing == nil {
                await #expect(throws: Superseded.self) { try await leading.value }
            }
            leading.cancel()
            standby.cancel()
        }
    }
}
