import HTTPTypes
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// The pages that people work in, composed of their parts.
struct Pages: Sendable {
    let bus: EventBus
    let sessions: Sessions
    let settings: SuiteSettings
    let leads: LeadActions
    let deals: DealActions
    let orders: OrderRequest
    let books: OwnBooks
    let changes: OrderChanges
    let invoices: Invoices
    let others: OtherServices
    let renderer: PageRenderer
    let live: LivePages

    func add(to router: Router<ServiceRequestContext>) {
        let talk = TalkPages(bus: bus, sessions: sessions, renderer: renderer, live: live)
        EntryPages(bus: bus, sessions: sessions, settings: settings, renderer: renderer).add(to: router)
        WorkPage(pool: bus.pool, renderer: renderer).add(to: router)
        LeadPages(
            bus: bus, sessions: sessions, settings: settings, leads: leads, renderer: renderer, talk: talk
        ).add(to: router)
        DealPages(
            bus: bus, sessions: sessions, settings: settings, deals: deals, orders: orders, books: books,
            changes: changes, invoices: invoices, questions: OnecQuestions(others: others), renderer: renderer,
            talk: talk
        ).add(to: router)
        BornOrderPages(
            born: BornOrders(bus: bus, documents: OrderDocuments(live: live)), sessions: sessions, renderer: renderer
        ).add(to: router)
        CompanyPage(pool: bus.pool, renderer: renderer).add(to: router)
        SearchPage(pool: bus.pool, renderer: renderer).add(to: router)
        talk.add(to: router)
    }
}

extension ServiceRequestContext {
    /// The person who is logged in, else the way to the log-in page.
    func person() throws -> Caller {
        guard let caller, caller.userID != nil else { throw LoginRequired() }
        return caller
    }
}

extension Response {
    static func redirect(_ to: String) -> Response { Response(status: .seeOther, headers: [.location: to]) }
}

extension Router<ServiceRequestContext> {
    /// A form's action: the person is known, may do it, and the form is his; then back to a page.
    func action(
        _ path: RouterPath, _ sessions: Sessions, roles: [String] = ["manager", "head"],
        _ act: @escaping @Sendable (ID, Form, Caller) async throws -> String
    ) {
        post(path) { request, context in
            let caller = try context.person()
            guard caller.isAdmin || !caller.roles.isDisjoint(with: roles) else { throw Problem.forbidden }
            let form = try await Form(request)
            try sessions.checkCSRF(form["csrf"], caller)
            return Response.redirect(try await act(try context.id("page"), form, caller))
        }
    }
}
