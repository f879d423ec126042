import Hummingbird
import Primitives
import ServiceKit

/// `/clients`: cards of 1C that are nobody's yet, what both sides have changed, and who owns which data.
struct ClientPages: Sendable {
    let routes: CardRoutes
    let sessions: Sessions
    let renderer: PageRenderer
    let settings: SuiteSettings

    private static let shown = 100

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/clients") { request, context in
            let caller = try context.person()
            try context.require("head", "accountant", "manager", "integrator")
            return try await renderer.page(
                "clients", title: ScreenTexts.word("onecClients", renderer.language(request)),
                try await fields(renderer.language(request), caller, error: request.query("error")), request, caller)
        }
        router.post("/clients") { request, context in
            let caller = try context.person()
            try context.require("head", "accountant", "manager", "integrator")
            let form = try await Form(request)
            try sessions.checkCSRF(form["csrf"], caller)
            var place = "/clients"
            do {
                if form["verb"] == "own" {
                    try context.require("head", "integrator")
                    try await OwnershipRoutes(pool: routes.bus.pool).set(
                        form["field"] ?? "", form["owner"] ?? "", by: caller.name)
                } else if form["verb"] == "revert" {
                    try context.require("head", "accountant")
                    guard let id = form["id"].flatMap({ ID($0) }) else { throw Problem.notFound("conflict") }
                    try await routes.revert(id, by: caller.name)
                } else {
                    guard let verb = form["verb"], ["link", "create", "ignore"].contains(verb), let base = form["base"],
                        let card = form["card"]
                    else { throw Problem.badRequest("verb, base and card are wanted") }
                    try await routes.decide(
                        verb, base, card, client: form["client"].flatMap { ID($0) }, by: caller.name)
                }
            } catch let problem as Problem where problem.status == .conflict {
                place += "?error=\(Form.encoded(problem.detail ?? problem.title))"
            }
            return Response(status: .seeOther, headers: [.location: place])
        }
    }

    /// Who owns each field of a client, to be chosen by whoever may, and what was refused because of it.
    private func ownership(_ language: Language, _ caller: Caller) async throws -> [String: Any] {
        let answer = try await OwnershipRoutes(pool: routes.bus.pool).answer()
        let mayOwn = caller.isAdmin || !caller.roles.isDisjoint(with: ["head", "integrator"])
        return [
            "mayOwn": mayOwn, "anyRefused": !answer.refused.isEmpty,
            "fieldOwners": answer.fields.map { field in
                [
                    "field": field.field, "fieldName": ScreenTexts.word("field.\(field.field)", language),
                    "ownerName": ScreenTexts.word("fieldOwner.\(field.owner)", language),
                    "choices": ClientTruth.Owner.allCases.map {
                        [
                            "owner": $0.rawValue, "word": ScreenTexts.word("fieldOwner.\($0.rawValue)", language),
                            "chosen": $0.rawValue == field.owner,
                        ] as [String: Any]
                    },
                ] as [String: Any]
            },
            "refused": answer.refused.map {
                [
                    "at": LocalTime.text($0.at), "by": $0.by, "value": $0.value ?? "", "subject": $0.subject,
                    "reason": $0.reason,
                ]
            },
        ]
    }

    private func fields(_ language: Language, _ caller: Caller, error: String?) async throws -> [String: Any] {
        let waiting = try await routes.list("waiting", limit: Self.shown)
        let conflicts = try await routes.conflicts(limit: Self.shown)
        let own = try await ownership(language, caller)
        return own.merging([
            "owners": OwnershipMatrix.lines.map { line in
                [
                    "data": language.pick(line.data.ru, line.data.en),
                    "refusal": language.pick(line.refusal.ru, line.refusal.en),
                    "cells": [line.bot, line.crm, line.onec, line.bi].map {
                        [
                            "own": ScreenTexts.word("own.\($0)", language),
                            "weight": $0 == "owner" ? "fw-bold" : "text-muted",
                        ]
                    },
                ] as [String: Any]
            },
            "bookKinds": SuiteSettings.Organization.documentKinds.map { StateWords.document($0, language) },
            "anyBooks": !settings.keepsOwnBooks,
            "books": settings.organizations.map { organization in
                let orders = settings.base(of: organization)?.base ?? "—"
                let kinds = SuiteSettings.Organization.documentKinds
                return [
                    "organization": organization.name, "orders": orders,
                    "keepers": kinds.map { organization.keeper(of: $0) ?? orders },
                ] as [String: Any]
            },
            "error": error ?? "", "noCards": waiting.isEmpty, "noConflicts": conflicts.isEmpty,
            "cards": waiting.map { card -> [String: Any] in
                [
                    "base": card.base, "card": card.onecId, "cardName": card.fullName ?? card.name,
                    "inn": card.inn ?? "", "kpp": card.kpp ?? "", "why": card.reason ?? "",
                    "candidates": card.candidates.map {
                        ["client": $0.id.description, "clientName": $0.name, "of": card.base, "which": card.onecId]
                    },
                ]
            },
            "conflicts": conflicts.map { conflict -> [String: Any] in
                [
                    "id": conflict.id.description, "client": conflict.clientId.description, "base": conflict.base,
                    "field": ScreenTexts.word("field.\(conflict.field)", language), "crm": conflict.crmValue ?? "—",
                    "onec": conflict.onecValue ?? "—", "told": conflict.by ?? "1С \(conflict.base)",
                    "rule": conflict.rule, "at": LocalTime.text(conflict.at),
                    "kept": ScreenTexts.word("kept.\(conflict.kept)", language),
                    "revertedBy": conflict.reverted ? conflict.settledBy ?? "—" : "",
                ]
            },
        ]) { first, _ in first }
    }
}
