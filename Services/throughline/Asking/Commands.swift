import ArgumentParser
import Contracts
import Primitives
import ServiceKit

/// One field of an answer as a person reads it.
private func field(_ json: RawJSON, _ key: String) -> String {
    guard let value: RawJSON = json[key] else { return "—" }
    return value.words
}

private func items(_ json: RawJSON, _ key: String) -> [RawJSON] {
    guard let value: RawJSON = json[key] else { return [] }
    return value.list
}

/// Prints an answer as JSON, or as lines that a person reads.
private func show(_ suite: SuiteOptions, _ json: RawJSON, _ lines: () -> [String]) {
    if suite.json { print(json.text) } else { for line in lines() { print(line) } }
}

private func failed(_ what: String, _ status: Int, _ json: RawJSON) -> any Error {
    ValidationError("\(what): \(json["title"]?.stringValue ?? "status \(status)")")
}

private func percentEncoded(_ text: String) -> String {
    var out = ""
    for byte in text.utf8 {
        let scalar = Unicode.Scalar(byte)
        if scalar.properties.isAlphabetic && byte < 128 || (48...57).contains(byte) {
            out.unicodeScalars.append(scalar)
        } else {
            let digits = String(byte, radix: 16, uppercase: true)
            out += digits.count < 2 ? "%0" : "%"
            out += digits
        }
    }
    return out
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show what runs, what waits, and how far each stream is.")
    @OptionGroup var suite: SuiteOptions

    func run() throws {
        var all: [String: RawJSON] = [:]
        var down = false
        for service in ServiceIdentity.allCases {
            let client = try SuiteClient(portBase: suite.portBase)
            let answer = try? waiting { try await client.get(service, "/readyz") }
            all[service.name] =
                answer?.json ?? .object(["ready": .bool(false), "missing": .array([.string("does not answer")])])
            if answer?.status != 200 { down = true }
        }
        show(suite, .object(all)) {
            var lines: [String] = []
            for service in ServiceIdentity.allCases {
                let state: RawJSON = all[service.name] ?? .null
                let missing: [String] = items(state, "missing").map { $0.words }
                lines.append(
                    service.name + ": " + (missing.isEmpty ? "ready" : "waits for " + missing.joined(separator: "; ")))
                for one in items(state, "subscriptions") {
                    let place: String = field(one, "seq") + " of " + field(one, "head")
                    lines.append("    takes " + field(one, "name") + ": " + field(one, "phase") + " at " + place)
                }
            }
            return lines
        }
        if down { throw ExitCode(1) }
    }
}

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
        let (status, line) = try waiting { try await client.get(.crmCore, "/api/v1/journeys/\(wanted)") }
        guard status == 200 else { throw failed("journey \(wanted)", status, line) }
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
            return lines
        }
    }

    private func find(_ client: SuiteClient) throws -> String {
        guard let query = order ?? phone else { throw ValidationError("an id, --order or --phone is wanted") }
        let escaped: String = percentEncoded(query)
        let (status, hits) = try waiting { try await client.get(.crmCore, "/api/v1/search?q=\(escaped)") }
        guard status == 200 else { throw failed("search", status, hits) }
        let kinds = order == nil ? ["lead", "deal"] : ["order"]
        let hit: RawJSON? = items(hits, "items").first { (one: RawJSON) -> Bool in
            kinds.contains(field(one, "kind")) && one["journeyId"]?.stringValue != nil
        }
        guard let journey = hit?["journeyId"]?.stringValue else {
            throw ValidationError("nothing found for «\(query)»")
        }
        return journey
    }
}

struct Journal: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show the exchanges with 1C, newest first.")
    @OptionGroup var suite: SuiteOptions
    @Option(help: "How many.") var limit = 30

    func run() throws {
        let client = try SuiteClient(portBase: suite.portBase, data: suite.data)
        let count = limit
        let (status, page) = try waiting { try await client.get(.accountingBridge, "/api/v1/exchanges?limit=\(count)") }
        guard status == 200 else { throw failed("journal", status, page) }
        show(suite, page) {
            items(page, "items").map { (one: RawJSON) -> String in
                let words: String = items(one, "understood").map { $0.words }.joined(separator: "; ")
                return [field(one, "at"), field(one, "base"), field(one, "kind"), field(one, "result"), words]
                    .joined(separator: "  ")
            }
        }
    }
}

struct ParkedList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parked", abstract: "Show what was set aside, and why.")
    @OptionGroup var suite: SuiteOptions

    func run() throws {
        let client = try SuiteClient(portBase: suite.portBase, data: suite.data)
        var all: [RawJSON] = []
        for service in ServiceIdentity.allCases {
            let (status, page) = try waiting { try await client.get(service, "/api/v1/parked/events") }
            guard status == 200 else { throw failed("\(service.name)", status, page) }
            all += items(page, "items")
        }
        show(suite, .object(["items": .array(all)])) {
            if all.isEmpty { return ["nothing is parked"] }
            return all.map { (one: RawJSON) -> String in
                [field(one, "service"), field(one, "at"), field(one, "what"), field(one, "reason")]
                    .joined(separator: "  ")
            }
        }
    }
}

struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make and list the suite's keys.", subcommands: [Init.self, Add.self, List.self])

    struct Init: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make the keys that are missing.")
        @OptionGroup var suite: SuiteOptions
        func run() throws { try KeyFolder(data: absolute(suite.data)).create() }
    }

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a key for a reader of metric topics.")
        @OptionGroup var suite: SuiteOptions
        @Argument(help: "The reader's name.") var name: String
        @Option(help: "What it may do.") var role = "reader"

        func validate() throws {
            guard role == "reader" else { throw ValidationError("--role is reader") }
            guard !name.isEmpty, name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }) else {
                throw ValidationError("a name has Latin letters, digits and -")
            }
        }

        func run() throws {
            let folder = KeyFolder(data: absolute(suite.data))
            let keys = try folder.addReader(name)
            let server = try folder.publicKey(.biAggregator)
            let json = RawJSON.object([
                "name": .string(name), "publicKey": .string(keys.publicKey),
                "secretKey": .string(keys.secretKey), "serverKey": .string(server),
            ])
            show(suite, json) {
                [
                    "server key:  \(server)", "public key:  \(keys.publicKey)", "secret key:  \(keys.secretKey)",
                    "The secret is shown this once. bi-aggregator knows the key within seconds.",
                ]
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the public keys.")
        @OptionGroup var suite: SuiteOptions
        func run() throws {
            let folder = KeyFolder(data: absolute(suite.data))
            var all: [String: RawJSON] = [:]
            for service in ServiceIdentity.allCases { all[service.name] = .string(try folder.publicKey(service)) }
            for (key, name) in folder.readers() { all["reader \(name)"] = .string(key) }
            show(suite, .object(all)) { () -> [String] in
                all.keys.sorted().map { (name: String) -> String in name + "  " + (all[name]?.words ?? "") }
            }
        }
    }
}
