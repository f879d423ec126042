import CoreMetrics
import Synchronization

/// Keeps what swift-metrics reports and writes it as Prometheus text. Counters, meters, and timers as sum and
/// count in seconds: enough for rates, errors and durations.
final class PrometheusFactory: MetricsFactory {
    static let shared = PrometheusFactory()
    private struct Series {
        let kind: String
        var values: [String: (sum: Double, count: Double)] = [:]
    }
    private let series = Mutex<[String: Series]>([:])

    /// Label sets per name at most: a runaway label must not eat the memory.
    private static let labelLimit = 2000

    fileprivate func change(
        _ name: String, _ kind: String, _ labels: String, _ change: (inout Double, inout Double) -> Void
    ) {
        series.withLock { all in
            // In place: a copy of the series for each change would cost more than the change.
            func apply(_ one: inout Series) {
                guard one.values[labels] != nil || one.values.count < Self.labelLimit else { return }
                var value = one.values[labels] ?? (0, 0)
                change(&value.sum, &value.count)
                one.values[labels] = value
            }
            apply(&all[name, default: Series(kind: kind)])
        }
    }

    func text() -> String {
        let all = series.withLock { $0 }
        var out = ""
        for (name, one) in all.sorted(by: { $0.key < $1.key }) {
            out += "# HELP throughline_\(name) Measured since the process began.\n"
            out += "# TYPE throughline_\(name) \(one.kind)\n"
            for (labels, value) in one.values.sorted(by: { $0.key < $1.key }) {
                if one.kind == "summary" {
                    out += "throughline_\(name)_sum\(labels) \(value.sum)\n"
                    out += "throughline_\(name)_count\(labels) \(Int64(value.count))\n"
                } else {
                    out += "throughline_\(name)\(labels) \(value.sum)\n"
                }
            }
        }
        return out
    }

    private static func labels(_ dimensions: [(String, String)]) -> String {
        guard !dimensions.isEmpty else { return "" }
        let pairs = dimensions.map { name, value in
            var escaped = ""
            for character in value {
                switch character {
                case "\\": escaped += "\\\\"
                case "\"": escaped += "\\\""
                case "\n": escaped += "\\n"
                default: escaped.append(character)
                }
            }
            return "\(name)=\"\(escaped)\""
        }
        return "{\(pairs.joined(separator: ","))}"
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        Handler(name: label, labels: Self.labels(dimensions), factory: self)
    }
    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        Handler(name: label, labels: Self.labels(dimensions), factory: self)
    }
    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool)
        -> any RecorderHandler
    { Handler(name: label, labels: Self.labels(dimensions), factory: self) }
    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        Handler(name: label, labels: Self.labels(dimensions), factory: self)
    }
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}

private final class Handler: CounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    let name, labels: String
    let factory: PrometheusFactory

    init(name: String, labels: String, factory: PrometheusFactory) {
        self.name = name
        self.labels = labels
        self.factory = factory
    }

    func increment(by amount: Int64) {
        factory.change(name, "counter", labels) { sum, _ in sum += Double(amount) }
    }
    func reset() { factory.change(name, "counter", labels) { sum, _ in sum = 0 } }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { factory.change(name, "gauge", labels) { sum, _ in sum = value } }
    func increment(by amount: Double) {
        factory.change(name, "gauge", labels) { sum, _ in sum += amount }
    }
    func decrement(by amount: Double) {
        factory.change(name, "gauge", labels) { sum, _ in sum -= amount }
    }
    func record(_ value: Int64) { record(Double(value)) }
    func record(_ value: Double) {
        factory.change(name, "summary", labels) { sum, count in
            sum += value
            count += 1
        }
    }
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
}
