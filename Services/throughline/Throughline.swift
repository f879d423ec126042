import ArgumentParser

/// The operator's command.
@main
struct Throughline: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "throughline",
        abstract: "From a client's first message to the money in the books: run and look after the suite.",
        subcommands: [
            Up.self, Prepare.self, Status.self, Journey.self, Journal.self, ParkedList.self, Replay.self, Stream.self,
            Keys.self, Doctor.self,
        ])
}

/// Where the suite stands and how its answers are printed; shared by all commands.
struct SuiteOptions: ParsableArguments {
    @Option(help: "The data folder.")
    var data = ".throughline"
    @Option(help: "The settings file (YAML).")
    var config: String?
    @Option(name: .customLong("port-base"), help: "First port; all others move with it.")
    var portBase = 8080
    @Flag(help: "Print JSON.")
    var json = false
}
