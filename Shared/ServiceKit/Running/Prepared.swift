import FoundationEssentials

/// Between containers each service's keys and database URL are files that `throughline prepare` makes: a service that is
/// started first waits for them.
enum Prepared {
    private static let pauseSeconds = 0.5

    static func wait(_ options: LaunchOptions) async {
        guard let url = options.environment["DATABASE_URL_FILE"] else { return }
        let wanted = [url, KeyFolder(data: options.data).path + "/session.public"]
        var said = false
        while let missing = wanted.first(where: { !FileManager.default.fileExists(atPath: $0) }) {
            if !said { LogOutput.write("waiting for \(missing): throughline prepare makes it\n") }
            said = true
            try? await Task.sleep(for: .seconds(pauseSeconds))
        }
    }
}
