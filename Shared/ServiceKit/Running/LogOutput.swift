import Contracts
import Glibc
import Logging
import Primitives

/// Log lines to standard error, each written at once: what is buffered is lost in a crash.
public enum LogOutput {
    static func start(_ settings: SuiteSettings, name: String) {
        let level = Logger.Level(rawValue: settings.logLevel) ?? .info
        let isJSON = settings.logFormat == "json"
        LoggingSystem.bootstrap { label in
            Handler(service: name, label: label, isJSON: isJSON, logLevel: level)
        }
    }

    public static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }

    struct Handler: LogHandler {
        let service, label: String
        let isJSON: Bool
        var logLevel: Logger.Level
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            var all = metadata
            if let extra = event.metadata { all.merge(extra) { $1 } }
            if isJSON {
                var fields = all.mapValues { "\($0)" }
                fields["at"] = Timestamp.now().description
                fields["level"] = event.level.rawValue
                fields["service"] = service
                fields["message"] = "\(event.message)"
                if let line = try? JSON.text(fields) { LogOutput.write(line + "\n") }
            } else {
                let pairs = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
                LogOutput.write(
                    "\(Timestamp.now()) \(event.level.rawValue) \(service): \(event.message)\(pairs)\n")
            }
        }
    }
}
