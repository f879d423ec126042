import ArgumentParser
import Contracts
import ServiceKit

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
