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

    /// A form's `2026-01-31T12:05`, said in that zone.
    public static func moment(_ text: String) -> Timestamp? {
        let numbers = text.split { !$0.isNumber }.compactMap { Int32($0) }
        guard (5...6).contains(numbers.count), (1...9999).contains(numbers[0]), (1...12).contains(numbers[1]),
            (1...31).contains(numbers[2])
        else {
            return nil
        }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (numbers[0] - 1900, numbers[1] - 1, numbers[2])
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (numbers[3], numbers[4], numbers.count > 5 ? numbers[5] : 0)
        parts.tm_isdst = -1
        let seconds = mktime(&parts)
        return seconds == -1 ? nil : Timestamp(milliseconds: Int64(seconds) * 1000)
    }

    private static func format(_ time: Timestamp, _ pattern: String) -> String {
        var seconds = time_t(time.milliseconds / 1000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 64)
        let length = strftime(&buffer, buffer.count, pattern, &parts)
        return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
