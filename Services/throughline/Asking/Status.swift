import ArgumentParser
import Contracts
import ServiceKit

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what runs, how far each stream is, what waits and for whom.")
    @OptionGroup var suite: SuiteOptions
    @Option(help: "Where an order is: its place in every queue.") var order: String?

    func run() throws {
        if let order { return try Journey.whereabouts(suite, order: order) }
        let client = try SuiteClient(portBase: suite.portBase, data: suite.data)
        var all: [String: RawJSON] = [:]
        var down = false
        for service in ServiceIdentity.allCases {
            let ready = try? waiting { try await client.get(service, "/readyz") }
            var state =
                ready?.json ?? .object(["ready": .bool(false), "missing": .array([.string("does not answer")])])
            if ready?.status != 200 { down = true }
            if case .object(var fields) = state,
                let bus = try? waiting({ try await client.get(service, "/api/v1/bus") }),
                bus.status == 200
            {
                fields["report"] = bus.json
                state = .object(fields)
            }
            all[service.name] = state
        }
        let found = all
        show(suite, .object(found)) {
            ServiceIdentity.allCases.flatMap { Self.lines($0.name, found[$0.name] ?? .null) }
        }
        if down { throw ExitCode(1) }
    }

    private static func lines(_ service: String, _ state: RawJSON) -> [String] {
        let missing = items(state, "missing").map(\.words)
        var lines = [service + ": " + (missing.isEmpty ? "ready" : "waits for " + missing.joined(separator: "; "))]
        for one in items(state, "subscriptions") where field(one, "name").hasSuffix("main") || field(one, "head") != "0"
        {
            var line =
                "    takes \(field(one, "name")): \(field(one, "phase")) at \(field(one, "seq")) of \(field(one, "head"))"
            if case .int(let lag)? = one["lag"], lag > 0 {
                line += ", \(lag) behind for \(seconds(one, "lagSeconds")), drained in \(seconds(one, "drainSeconds"))"
            }
            if let waits = one["waitsFor"]?.stringValue {
                line += "; waits for \(waits) since \(seconds(one, "waitsSeconds"))"
            }
            if one["stopped"] == .bool(true), let alarm = one["lastAlarm"]?.stringValue { line += "; last: \(alarm)" }
            lines.append(line)
        }
        guard let report = state["report"] else { return lines }
        for one in items(report, "takenBy") where field(one, "behind") != "0" {
            lines.append("    \(field(one, "subscriber")) is \(field(one, "behind")) behind in \(field(one, "stream"))")
        }
        for one in items(report, "queues") where field(one, "waiting") != "0" {
            let why = one["waitsFor"]?.stringValue.map { ", for \($0)" } ?? ""
            lines.append(
                "    queue \(field(one, "name")): \(field(one, "waiting")) wait, the oldest for \(seconds(one, "oldestSeconds")); "
                    + field(one, "state") + why)
        }
        for one in items(report, "parked") {
            lines.append("    set aside: \(field(one, "count")) since \(field(one, "since")): \(field(one, "reason"))")
        }
        for one in items(report, "alarms") { lines.append("    ALARM \(one.words)") }
        return lines
    }

    private static func seconds(_ json: RawJSON, _ key: String) -> String {
        switch json[key] {
        case .double(let value)?: "\(Int(value.rounded())) s"
        case .int(let value)?: "\(value) s"
        default: "unknown time"
        }
    }
}
