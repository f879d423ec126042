import ArgumentParser
import Contracts
import FoundationEssentials
import Messaging
import ServiceKit

/// Messages done again: planned as a frozen list, looked at, applied, and kept on record.
struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Do messages again: plan, look, apply.",
        subcommands: [Plan.self, Show.self, Apply.self, Cancel.self, List.self])

    struct Plan: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Freeze what is chosen and show what doing it again would change; nothing is done yet.")
        @OptionGroup var suite: SuiteOptions
        @Argument(help: "The service that takes the messages.") var service: ServiceIdentity
        @Option(help: "parked: set aside; taken: done before.") var source = "parked"
        @Option(help: "Only from this time on (RFC 3339).") var from: String?
        @Option(help: "Only before this time.") var to: String?
        @Option(help: "Only of this type; may be repeated.") var type: [String] = []
        @Option(help: "Only of this key; may be repeated.") var key: [String] = []
        @Option(help: "Only this message, by its id; may be repeated.") var id: [String] = []
        @Option(help: "Only of this journey.") var journey: String?
        @Option(help: "Only set aside for a reason with these words.") var error: String?
        @Option(help: "Only with this text in the message.") var text: String?
        @Option(help: "ID=FILE: the message with new data from a JSON file; it supersedes the old one.")
        var change: [String] = []

        func run() throws {
            var filter: [String: RawJSON] = ["source": .string(source)]
            for (name, value) in [("from", from), ("to", to), ("journeyId", journey), ("error", error), ("text", text)]
            {
                if let value { filter[name] = .string(value) }
            }
            for (name, values) in [("types", type), ("keys", key), ("ids", id)] where !values.isEmpty {
                filter[name] = .array(values.map { .string($0) })
            }
            var changes: [String: RawJSON] = [:]
            for one in change {
                let parts = one.split(separator: "=", maxSplits: 1).map(String.init)
                guard parts.count == 2, let data = try? Data(contentsOf: URL(filePath: parts[1])),
                    let json = try? JSON.decode(RawJSON.self, from: data)
                else { throw ValidationError("--change wants ID=FILE with JSON in the file, not «\(one)»") }
                changes[parts[0]] = json
            }
            let body = RawJSON.object(["filter": .object(filter), "changes": .object(changes), "dryRun": .bool(true)])
            try Replay.ask(suite, service, "plan") { try await $0.post(service, "/api/v1/replays", body) }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show a replay and its frozen list.")
        @OptionGroup var suite: SuiteOptions
        @Argument var service: ServiceIdentity
        @Argument(help: "The replay's id.") var id: String
        func run() throws {
            try Replay.ask(suite, service, "show") { try await $0.get(service, "/api/v1/replays/\(id)") }
        }
    }

    struct Apply: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Do exactly the frozen list.")
        @OptionGroup var suite: SuiteOptions
        @Argument var service: ServiceIdentity
        @Argument(help: "The replay's id.") var id: String
        func run() throws {
            try Replay.ask(suite, service, "apply") { try await $0.post(service, "/api/v1/replays/\(id)/apply") }
        }
    }

    struct Cancel: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Leave undone what is not done yet.")
        @OptionGroup var suite: SuiteOptions
        @Argument var service: ServiceIdentity
        @Argument(help: "The replay's id.") var id: String
        func run() throws {
            try Replay.ask(suite, service, "cancel") { try await $0.post(service, "/api/v1/replays/\(id)/cancel") }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show replays, newest first.")
        @OptionGroup var suite: SuiteOptions
        @Argument var service: ServiceIdentity
        func run() throws {
            let client = try SuiteClient(portBase: suite.portBase, data: suite.data)
            let (status, page) = try waiting { try await client.get(service, "/api/v1/replays") }
            guard status == 200 else { throw failed("replays", status, page) }
            show(suite, page) {
                items(page, "items").map { (one: RawJSON) -> String in
                    [
                        field(one, "id"), field(one, "state"), field(one, "plannedAt"), field(one, "plannedBy"),
                        field(one, "filter"),
                    ]
                    .joined(separator: "  ")
                }
            }
        }
    }

    private static func ask(
        _ suite: SuiteOptions, _ service: ServiceIdentity, _ what: String,
        _ question: @escaping @Sendable (SuiteClient) async throws -> (status: Int, json: RawJSON)
    ) throws {
        let client = try SuiteClient(portBase: suite.portBase, data: suite.data)
        let (status, replay) = try waiting { try await question(client) }
        guard (200...202).contains(status) else { throw failed("replay \(what)", status, replay) }
        show(suite, replay) { lines(replay, service) }
    }

    private static func lines(_ replay: RawJSON, _ service: ServiceIdentity) -> [String] {
        func counts(_ json: RawJSON?) -> String {
            guard case .object(let fields)? = json, !fields.isEmpty else { return "none" }
            return fields.sorted { $0.key < $1.key }.map { "\($0.value.words) \($0.key)" }.joined(separator: ", ")
        }
        var lines = [
            "replay \(field(replay, "id")): \(field(replay, "state")), \(field(replay, "count")) messages: \(counts(replay["counts"]))"
        ]
        if let seen = replay["differences"], seen != .null {
            lines.append("tried in a transaction that was rolled back: \(field(seen, "tried"))")
            lines.append(
                "    would succeed: \(field(seen, "wouldSucceed")), of them without any change: \(field(seen, "changeNothing"))"
            )
            if case .object(let reasons)? = seen["wouldFail"] {
                for (reason, count) in reasons.sorted(by: { $0.key < $1.key }) {
                    lines.append("    would fail: \(count.words): \(reason)")
                }
            }
            for one in items(seen, "changes") {
                lines.append(
                    "    \(field(one, "table")): \(field(one, "added")) added, \(field(one, "changed")) changed, "
                        + "\(field(one, "removed")) removed")
            }
            lines.append("    would say: \(counts(seen["says"]))")
        }
        for one in items(replay, "items") {
            let old = one["supersedes"]?.stringValue.map { " (supersedes \($0))" } ?? ""
            lines.append(
                "\(field(one, "place")). \(field(one, "sequence"))#\(field(one, "seq")) \(field(one, "type")) \(field(one, "eventId"))\(old): "
                    + field(one, "outcome") + (one["reason"]?.stringValue.map { ", \($0)" } ?? ""))
        }
        if field(replay, "state") == "planned" {
            lines.append("to do it: throughline replay apply \(service.name) \(field(replay, "id"))")
        }
        return lines
    }
}
