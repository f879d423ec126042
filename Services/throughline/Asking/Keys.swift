import ArgumentParser
import Contracts
import ServiceKit

struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, change and list the suite's keys.",
        subcommands: [Init.self, Add.self, Remove.self, Rotate.self, List.self])

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

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a reader's key away; its connections are cut within seconds.")
        @OptionGroup var suite: SuiteOptions
        @Argument(help: "The reader's name.") var name: String
        func run() throws { try KeyFolder(data: absolute(suite.data)).removeReader(name) }
    }

    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Give a service a new bus key; running services take it up, and cut the old one off, within seconds.")
        @OptionGroup var suite: SuiteOptions
        @Argument(help: "The service.") var service: ServiceIdentity
        func run() throws {
            try KeyFolder(data: absolute(suite.data)).rotate(service)
            print("\(service.name) has a new key; the old one is cut off within 10 seconds")
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
