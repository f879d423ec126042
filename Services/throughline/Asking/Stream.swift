import ArgumentParser
import Contracts
import Messaging
import Primitives
import ServiceKit

extension StreamDecision: ExpressibleByArgument {}

/// A person's decision about a stream that has stopped, or shall.
struct Stream: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decide how a stopped stream goes on, or pause one.",
        discussion: """
            heal: FORKED; the subscriber's copies refill the publisher's log.
            accept-loss: FORKED or HOLE; what the publisher has is the truth, the rest is recorded as lost.
            bootstrap: HOLE; the publisher says its present state, and it goes on from there.
            retry: ask the publisher again. pause, resume.
            """)
    @OptionGroup var suite: SuiteOptions
    @Argument(help: "heal, accept-loss, bootstrap, retry, pause or resume.") var decision: StreamDecision
    @Argument(help: "The service that takes the stream.") var service: ServiceIdentity
    @Argument(help: "The stream as status names it: crm-core/crm-core/main.") var stream: String
    @Option(help: "Why; it is recorded.") var reason: String

    func run() throws {
        let client = try SuiteClient(portBase: suite.portBase, data: suite.data)
        if decision == .heal {
            // The publisher takes copies only with a person's word, too.
            guard let publisher = stream.split(separator: "/").first.flatMap({ ServiceIdentity(rawValue: String($0)) })
            else {
                throw ValidationError("«\(stream)» does not begin with the name of a service")
            }
            let consent = RawJSON.object(["subscriber": .string(service.name), "reason": .string(reason)])
            let (status, answer) = try waiting { try await client.post(publisher, "/api/v1/bus/copies", consent) }
            guard status == 202 else { throw failed("consent of \(publisher.name)", status, answer) }
        }
        let wish = RawJSON.object([
            "stream": .string(stream), "decision": .string(decision.rawValue), "reason": .string(reason),
        ])
        let (status, answer) = try waiting { try await client.post(service, "/api/v1/bus/decisions", wish) }
        guard status == 202 else { throw failed("\(decision.rawValue) \(stream)", status, answer) }
        show(suite, answer) { ["begun; see: throughline status"] }
    }
}
