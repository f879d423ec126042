import ArgumentParser
import Contracts
import ServiceKit

struct Journey: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show one request's line, step by step, with what it waits for.")
    @OptionGroup var suite: SuiteOptions
    @Argument(help: "The journey's id.") var id: String?
    @Option(help: "Find it by an order's number.") var order: String?
    @Option(help: "Find it by a client's phone.") var phone: String?

    func run() throws {
        let client = try SuiteClient(portBase: suite.portBase, data: suite.data)
        let wanted = try id ?? find(client)
        let (status, drawn) = try waiting { try await client.get(.crmCore, "/api/v1/journeys/\(wanted)") }
        guard status == 200, case .object(var fields) = drawn else { throw failed("journey \(wanted)", status, drawn) }
        fields["places"] = .array(Self.places(client, wanted))
        let line = RawJSON.object(fields)
        show(suite, line) {
            var lines: [String] = []
            for step in items(line, "steps") {
                lines.append(
                    [field(step, "at"), field(step, "service"), field(step, "summary")].joined(separator: "  "))
            }
            for gap in items(line, "gaps") {
                let since: String = field(gap, "since") + ", from " + field(gap, "owner")
                lines.append(
                    "waits for " + field(gap, "waitingFor") + " since " + since + ", norm " + field(gap, "norm"))
            }
            return lines + Self.places(items(line, "places"))
        }
    }

    /// Where something of the journey waits now, from every service that answers.
    private static func places(_ client: SuiteClient, _ journey: String) -> [RawJSON] {
        ServiceIdentity.allCases.flatMap { service -> [RawJSON] in
            let answer = try? waiting { try await client.get(service, "/api/v1/whereabouts?journeyId=\(journey)") }
            return answer.map { items($0.json, "items") } ?? []
        }
    }

    private static func places(_ places: [RawJSON]) -> [String] {
        places.map { (one: RawJSON) -> String in
            "in \(field(one, "service")), queue \(field(one, "queue")): \(field(one, "what")), \(field(one, "ahead")) before it, "
                + "since \(field(one, "since")), waits for \(field(one, "waitsFor"))"
        }
    }

    /// An order's place in every queue.
    static func whereabouts(_ suite: SuiteOptions, order: String) throws {
        let client = try SuiteClient(portBase: suite.portBase, data: suite.data)
        let journey = try find(client, order, ["order"])
        let found = places(client, journey)
        show(suite, .object(["journeyId": .string(journey), "items": .array(found)])) {
            found.isEmpty ? ["order \(order) waits nowhere: see throughline journey --order \(order)"] : places(found)
        }
    }

    private func find(_ client: SuiteClient) throws -> String {
        guard let query = order ?? phone else { throw ValidationError("an id, --order or --phone is wanted") }
        return try Self.find(client, query, order == nil ? ["lead", "deal"] : ["order"])
    }

    private static func find(_ client: SuiteClient, _ query: String, _ kinds: [String]) throws -> String {
        let escaped: String = percentEncoded(query)
        let (status, hits) = try waiting { try await client.get(.crmCore, "/api/v1/search?q=\(escaped)") }
        guard status == 200 else { throw failed("search", status, hits) }
        let hit: RawJSON? = items(hits, "items").first { (one: RawJSON) -> Bool in
            kinds.contains(field(one, "kind")) && one["journeyId"]?.stringValue != nil
        }
        guard let journey = hit?["journeyId"]?.stringValue else {
            throw ValidationError("nothing found for «\(query)»")
        }
        return journey
    }
}
