import Glibc
import Primitives

/// Times as people read them, in the company's zone, which the process took as its own at start.
public enum LocalTime {
    /// Makes `zone` (`Europe/Moscow`) this process's zone. Before any thread reads the time.
    static func start(_ zone: String) {
        setenv("TZ", zone, 1)
        tzset()
    }

    /// `31.01.2026 12:05`.
    public static func text(_ time: Timestamp) -> String { format(time, "%d.%m.%Y %H:%M") }

    /// `12:05:01`.
    public static func clock(_ time: Timestamp) -> String { format(time, "%H:%M:%S") }

    /// `2026-01-31`.
    public static func day(_ time: Timestamp) -> String { format(time, "%Y-%m-%d") }

    /// `2026-01-31T12`.
    public static func hour(_ time: Timestamp) -> String { format(time, "%Y-%m-%dT%H") }

    private static func format(_ time: Timestamp, _ pattern: String) -> String {
        var seconds = time_t(time.milliseconds / 1000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 64)
        let length = strftime(&buffer, buffer.count, pattern, &parts)
        return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
