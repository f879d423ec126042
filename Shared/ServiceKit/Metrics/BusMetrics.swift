import Messaging

/// The bus as Prometheus text. Names and meanings are those of `deploy/monitoring`.
struct BusMetrics {
    private var lines: [String] = []

    static func text(_ bus: EventBus, queues: [WorkQueue], parked: [String: Int]) -> String {
        var metrics = BusMetrics()
        metrics.bus(bus)
        metrics.family("throughline_queue_waiting", "gauge", "Work taken on and not done yet.")
        for queue in queues {
            metrics.sample("throughline_queue_waiting", ["queue": queue.name], Double(queue.waiting))
        }
        metrics.family("throughline_queue_oldest_seconds", "gauge", "How long the oldest work waits.")
        for queue in queues {
            metrics.sample("throughline_queue_oldest_seconds", ["queue": queue.name], queue.oldestSeconds ?? 0)
        }
        metrics.family("throughline_queue_failing", "gauge", "1 while a queue is paused or its other side fails.")
        for queue in queues {
            metrics.sample("throughline_queue_failing", ["queue": queue.name], queue.state == "flows" ? 0 : 1)
        }
        metrics.family("throughline_parked_messages", "gauge", "Messages set aside and not settled, by what they are.")
        for (type, count) in parked.sorted(by: { $0.key < $1.key }) {
            metrics.sample("throughline_parked_messages", ["type": type], Double(count))
        }
        return metrics.lines.joined(separator: "\n") + "\n"
    }

    private mutating func bus(_ bus: EventBus) {
        family("throughline_leading", "gauge", "1 while this instance leads its schema.")
        sample("throughline_leading", [:], bus.missing == nil ? 1 : 0)
        family("throughline_stream_head", "gauge", "The last number given in a stream of this service.")
        for head in bus.streamHeads { sample("throughline_stream_head", ["stream": head.name], Double(head.seq)) }
        let takes = bus.subscriptions
        let families: [(String, String, String, (SubscriptionStatus) -> Double)] = [
            ("throughline_stream_cursor", "gauge", "The last number whose effects are durable.", { Double($0.seq) }),
            ("throughline_stream_lag", "gauge", "Events not taken yet.", { Double($0.lag) }),
            ("throughline_stream_lag_seconds", "gauge", "Seconds since nothing was behind.", { $0.lagSeconds }),
            ("throughline_stream_rate", "gauge", "Events a second while some were taken.", { $0.rate }),
            ("throughline_stream_stopped", "gauge", "1 while a stream waits for a person.", { $0.stopped ? 1 : 0 }),
            ("throughline_stream_waits_seconds", "gauge", "How long it waits for somebody.", { $0.waitsSeconds ?? 0 }),
            ("throughline_stream_refilled_total", "counter", "Events that came by asking.", { Double($0.refilled) }),
            (
                "throughline_stream_dropped_total", "counter", "Live frames that found the ring full.",
                { Double($0.dropped) }
            ),
        ]
        for (name, kind, help, value) in families {
            family(name, kind, help)
            for one in takes { sample(name, ["stream": one.name], value(one)) }
        }
        family("throughline_subscriber_behind", "gauge", "Events that a subscriber has not taken, as it last said.")
        for one in bus.subscriberPlaces {
            sample(
                "throughline_subscriber_behind",
                ["subscriber": one.subscriber, "stream": "\(one.stream)/\(one.lane.rawValue)"], Double(one.behind))
        }
        family("throughline_log_alarms", "gauge", "Things that stand against the log's keeping.")
        sample("throughline_log_alarms", [:], Double(bus.logAlarms.count))
        let counters = bus.counters
        for (name, value) in [
            ("throughline_bus_dropped_out_total", counters.droppedOut),
            ("throughline_bus_letters_refused_total", counters.lettersRefused),
            ("throughline_bus_subscriptions_refused_total", counters.subscriptionsRefused),
            ("throughline_bus_unreadable_total", counters.unreadable),
            ("throughline_bus_flooded_total", counters.flooded),
            ("throughline_bus_reconnects_total", counters.reconnects),
            ("throughline_bus_strangers_refused_total", bus.strangersRefused),
        ] {
            family(name, "counter", "Counted since the process began.")
            sample(name, [:], Double(value))
        }
    }

    private mutating func family(_ name: String, _ kind: String, _ help: String) {
        lines += ["# HELP \(name) \(help)", "# TYPE \(name) \(kind)"]
    }

    private mutating func sample(_ name: String, _ labels: [String: String], _ value: Double) {
        let text = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value.replacing("\"", with: ""))\"" }
        let braces = text.isEmpty ? "" : "{\(text.joined(separator: ","))}"
        let number = value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
        lines.append("\(name)\(braces) \(number)")
    }
}
