import ArgumentParser
import Contracts
import Primitives
import ServiceKit

/// Prints an answer as JSON, or as lines that a person reads.
private func show(_ suite: SuiteOptions, _ json: RawJSON, _ lines: () -> [String]) {
    if suite.json { print(json.text) } else { for line in lines() { print(line) } }
}

private func failed(_ what: String, _ status: Int, _ json: RawJSON) -> any Error {
    ValidationError("\(what): \(json["title"]?.stringValue ?? "status \(status)")")
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
            all[service.name] = answer?.json ?? .object(["ready": .bool(false), "missing": .array([.string("does not answer")])])
            if answer?.status != 200 { down = true }
        }
        show(suite, .object(all)) {
            ServiceIdentity.allCases.flatMap { service -> [String] in
                let state = all[service.name] ?? .null
                let missing = state["missing"]?.list.map(\.words) ?? []
                let head = "\(service.name): " + (missing.isEmpty ? "ready" : "waits for " + missing.joined(separator: "; "))
                let streams = (state["subscriptions"]?.list ?? []).map { one in
                    "    takes \(one[path: "name"].words): \(one[path: "phase"].words) at \(one[path: "seq"].words) of \(one[path: "head"].words), refilled \(one[path: "refilled"].words)"
                }
                return [head] + streams
            }
        }
        if down { throw ExitCode(1) }
    }
}

struct Journey: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show one request's line, step by step, with what it waits for.")
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
            (line["steps"]?.list ?? []).map {
                "\($0[path: "at"].words)  \($0[path: "service"].words)  \($0[path: "summary"].words)"
            } + (line["gaps"]?.list ?? []).map {
                "waits for \($0[path: "waitingFor"].words) since \($0[path: "since"].words), from \($0[path: "owner"].words), norm \($0[path: "norm"].words)"
            }
        }
    }

    private func find(_ client: SuiteClient) throws -> String {
        guard let query = order ?? phone else { throw ValidationError("an id, --order or --phone is wanted") }
        let escaped = query.utf8.map { byte -> String in
            let isPlain = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            let digits = String(byte, radix: 16, uppercase: true)
            return isPlain ? String(Unicode.Scalar(byte)) : "%" + (digits.count < 2 ? "0" : "") + digits
        }.joined()
        let (status, hits) = try waiting { try await client.get(.crmCore, "/api/v1/search?q=\(escaped)") }
        guard status == 200 else { throw failed("search", status, hits) }
        let kinds = order == nil ? ["lead", "deal"] : ["order"]
        let hit = hits["items"]?.list.first { kinds.contains($0["kind"]?.stringValue ?? "") && $0["journeyId"]?.stringValue != nil }
        guard let journey = hit?["journeyId"]?.stringValue else { throw ValidationError("nothing found for «\(query)»") }
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
            (page["items"]?.list ?? []).map { one in
                let words = (one["understood"]?.list ?? []).map(\.words).joined(separator: "; ")
                return "\(one[path: "at"].words)  \(one[path: "base"].words)  \(one[path: "kind"].words)  \(one[path: "result"].words)  \(words)"
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
            all += page["items"]?.list ?? []
        }
        show(suite, .object(["items": .array(all)])) {
            all.isEmpty ? ["nothing is parked"] : all.map {
                "\($0[path: "service"].words)  \($0[path: "at"].words)  \($0[path: "what"].words)  \($0[path: "reason"].words)"
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
                    "The secret is shown this once. bi-aggregator takes the key when it starts again.",
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
            show(suite, .object(all)) { all.sorted { $0.key < $1.key }.map { "\($0.key)  \($0.value.words)" } }
        }
    }
}
