/// What a service process is started with: `--data DIR --config FILE --port-base N --bus DIR`.
public struct LaunchOptions: Sendable {
    public var data = ".throughline"
    public var config: String?
    public var portBase = 8080
    /// Folder of the bus's ipc sockets; nil: tcp between hosts.
    public var bus: String?
    public let environment: [String: String]

    /// - Throws: ``WrongSettings`` when an argument is not understood.
    public init(arguments: [String], environment: [String: String]) throws {
        self.environment = environment
        config = environment["THROUGHLINE_CONFIG"]
        data = environment["THROUGHLINE_DATA"] ?? data
        bus = environment["THROUGHLINE_BUS"]
        if let text = environment["THROUGHLINE_PORT_BASE"], let port = Int(text) { portBase = port }
        var rest = arguments.dropFirst()
        while let name = rest.popFirst() {
            guard ["--data", "--config", "--port-base", "--bus"].contains(name),
                let value = rest.popFirst()
            else {
                throw WrongSettings(
                    file: "the arguments", problems: ["\(name): not understood, or its value is missing"])
            }
            switch name {
            case "--data": data = value
            case "--config": config = value
            case "--bus": bus = value
            default:
                guard let port = Int(value), (1024...60_000).contains(port) else {
                    throw WrongSettings(
                        file: "the arguments",
                        problems: ["--port-base: a number from 1024 to 60000 is wanted, not «\(value)»"])
                }
                portBase = port
            }
        }
    }
}
