import Contracts
import FoundationEssentials
import Glibc
import Primitives
import ServiceKit

/// Plays the outside world of the demo company: Telegram's server with its clients, two 1C bases, a mailbox, and the staff
/// who answer; and starts the suite that they meet.
@main
struct DemoWorld {
    static func main() async throws {
        var arguments = CommandLine.arguments.dropFirst()
        var values: [String: String] = [:]
        while let name = arguments.popFirst(), let value = arguments.popFirst() { values[name] = value }
        guard let bin = values["--bin"], let data = values["--data"],
            let base = values["--port-base"].flatMap({ Int($0) })
        else {
            LogOutput.write("demo-world: --bin, --data and --port-base are wanted; deploy/run --demo gives them\n")
            exit(64)
        }
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        let company = DemoCompany(portBase: base)
        let config = data + "/demo.yaml"
        try Data(company.settings.utf8).write(to: URL(filePath: config))
        let suite = SuiteProcess(
            command: [bin + "/throughline", "up", "--data", data, "--port-base", "\(base)", "--config", config])
        let telegram = FakeTelegram(port: company.telegramPort)
        let mailbox = FakeMailbox(port: company.smtpPort, folder: data + "/demo-mail")
        let pid = try suite.start()
        SuiteProcess.passSignals(to: pid)
        let world = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await telegram.run() }
                group.addTask { try await mailbox.run() }
                group.addTask { try await DemoGoods(port: company.questionsPort).run() }
                group.addTask { try await play(company, telegram, base) }
                try await group.waitForAll()
            }
        }
        let code = await suite.wait(pid)
        world.cancel()
        _exit(code)
    }

    private static func play(_ company: DemoCompany, _ telegram: FakeTelegram, _ base: Int) async throws {
        let suite = SuiteAPI(portBase: base)
        while await !suite.isReady() { try await Task.sleep(for: .milliseconds(200)) }
        print(company.welcome)
        fflush(nil)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await Clients(telegram: telegram, suite: suite, company: company).run() }
            for login in company.managers {
                group.addTask { await StaffMember(login: login, company: company, suite: suite).run() }
            }
            group.addTask { await OneCBase(name: "unf", tellsPayments: true, company: company, suite: suite).run() }
            group.addTask {
                await OneCBase(
                    name: "ut", tellsPayments: false, company: company, suite: suite, bank: DemoBank(suite: suite)
                ).run()
            }
            try await group.waitForAll()
        }
    }
}
