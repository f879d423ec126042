import Contracts
import Hummingbird
import Primitives
import ServiceKit

/// `/connectors`: how each way between the suite and the outside does, service by service.
struct ConnectorPages: Sendable {
    let renderer: PageRenderer
    let others: OtherServices

    /// Those that speak to somebody outside.
    private static let outward: [ServiceIdentity] = [.botGateway, .accountingBridge, .notifier]

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/connectors") { request, context in
            let caller = try context.person()
            try context.require("head", "integrator")
            let session = try OtherServices.session(request, context)
            let language = renderer.language(request)
            var (lines, away): ([[String: Any]], [String]) = ([], [])
            for service in Self.outward {
                let answer = try? await others.get(service, "/api/v1/connectors", session: session)
                guard let answer, answer.status == 200 else {
                    away.append(service.name)
                    continue
                }
                lines += (answer.json["items"]?.items ?? []).map { Self.fields($0, language) }
            }
            return try await renderer.page(
                "connectors", title: ScreenTexts.word("connectors", language),
                ["connectors": lines, "away": away.joined(separator: ", "), "empty": lines.isEmpty && away.isEmpty],
                request, caller)
        }
    }

    private static func fields(_ item: RawJSON, _ language: Language) -> [String: Any] {
        func words(_ name: String) -> String { item[name]?.stringValue ?? "" }
        func time(_ name: String) -> String {
            item[name]?.stringValue.flatMap { Timestamp($0) }.map { LocalTime.text($0) } ?? ""
        }
        let (attempts, troubles) = (item["attempts"]?.intValue ?? 0, item["troubles"]?.intValue ?? 0)
        let waiting = item["waiting"]?.intValue ?? 0
        return [
            "kind": ScreenTexts.word("connector.\(words("kind"))", language),
            "name": words("kind") == "bank" ? "" : words("name"),
            "direction": ["in": "←", "out": "→"][words("direction")] ?? "↔",
            "lastSuccess": time("lastSuccess"), "waiting": String(waiting), "isWaiting": waiting > 0,
            "lag": item["lagSeconds"]?.doubleValue.map { HumanText.span($0, language) } ?? "",
            "attempts": String(attempts),
            "share": attempts == 0
                ? "—" : "\(troubles) (\(Int((100 * Double(troubles) / Double(attempts)).rounded())) %)",
            "isTroubled": troubles > 0, "trouble": words("trouble"), "since": time("troubleSince"),
        ]
    }
}
