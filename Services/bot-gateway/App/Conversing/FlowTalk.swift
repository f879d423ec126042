import Primitives
import ServiceKit

/// One run of a questionnaire, without I/O: takes what the client did, says what the bot does.
struct FlowTalk: Sendable {
    typealias Flow = SuiteSettings.Flow

    enum Input: Sendable {
        /// `/start`: begins anew, whatever was before.
        case start
        case text(String)
        /// A shared contact; `own` when the platform vouches that it is the sender's.
        case contact(Phone, own: Bool)
        case consentPressed
    }

    enum Keyboard: Equatable, Sendable {
        case none
        case consent(String)
        case phone(String)
    }

    enum Action: Equatable, Sendable {
        case say(String, Keyboard)
        /// Answers or state have changed: to be told to the CRM.
        case tell
        case consent(how: String)
    }

    enum State: String, Sendable { case open, complete, abandoned }

    let flow: Flow
    var step = 0
    var answers: [String: String] = [:]
    var phoneConfirmed = false
    var hasConsent = false
    var state = State.open
    /// Nothing was said yet in this run.
    var isFresh = true

    init(flow: Flow) { self.flow = flow }

    var phone: Phone? { answer(to: "phone").flatMap { Phone($0) } }
    var email: String? { answer(to: "email") }

    /// What was said to the step of this kind, however it is called, or to the one that is called so.
    private func answer(to kind: String) -> String? {
        flow.steps.last { $0.kind == kind && answers[$0.id] != nil }.flatMap { answers[$0.id] } ?? answers[kind]
    }
    /// Where it stands: a step's id, `consent`, or nil at the end.
    var place: String? {
        state == .complete ? nil : step < flow.steps.count ? flow.steps[step].id : "consent"
    }

    /// The step that the client's next words answer; nil when nothing was asked, or they come first.
    var question: String? { isFresh || state == .complete ? nil : place }

    mutating func handle(_ input: Input) -> [Action] {
        switch input {
        case .start: return begin()
        case _ where isFresh: return begin()
        case .consentPressed: return consentPressed()
        case .text(let text): return answer(text, confirmed: false)
        case .contact(let phone, let own): return answer(phone.e164, confirmed: own)
        }
    }

    /// The client has been silent for too long: what he said stays.
    mutating func abandon() -> [Action] {
        guard state == .open else { return [] }
        state = .abandoned
        return [.tell]
    }

    private mutating func begin() -> [Action] {
        self = FlowTalk(flow: flow)
        isFresh = false
        let text = [flow.greeting, flow.consentText, flow.steps[0].prompt].joined(separator: "\n\n")
        if flow.consent == "passive" {
            hasConsent = true
            return [.say(text, keyboard(0)), .consent(how: "passive")]
        }
        return [.say(text, .consent(flow.consentButton))]
    }

    private mutating func consentPressed() -> [Action] {
        guard !hasConsent else { return [] }
        hasConsent = true
        guard step >= flow.steps.count, state != .complete else { return [.consent(how: "button")] }
        return [.consent(how: "button")] + finish()
    }

    private mutating func answer(_ text: String, confirmed: Bool) -> [Action] {
        // What comes after the end is for a person to read; the bot keeps silent.
        guard state != .complete else { return [] }
        state = .open
        guard step < flow.steps.count else { return askConsent() }
        let current = flow.steps[step]
        switch current.kind {
        case "phone":
            guard let phone = Phone(text) else { return refuse(current) }
            answers[current.id] = phone.e164
            phoneConfirmed = confirmed
        case "email":
            guard Self.isEmail(text) else { return refuse(current) }
            answers[current.id] = text.lowercased()
        default:
            guard text.contains(where: { !$0.isWhitespace }) else { return refuse(current) }
            answers[current.id] = text
        }
        step += 1
        if step < flow.steps.count {
            return [.tell, .say(flow.steps[step].prompt, keyboard(step))]
        }
        return hasConsent ? finish() : [.tell] + askConsent()
    }

    private func refuse(_ step: SuiteSettings.FlowStep) -> [Action] {
        [.say(step.retry ?? step.prompt, keyboard(self.step))]
    }

    private func askConsent() -> [Action] {
        [.say(flow.consentText, .consent(flow.consentButton))]
    }

    private mutating func finish() -> [Action] {
        state = .complete
        return [.tell, .say(flow.thanks, .none)]
    }

    private func keyboard(_ step: Int) -> Keyboard {
        flow.steps[step].kind == "phone" ? .phone(flow.phoneButton) : .none
    }

    static func isEmail(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[0].isEmpty && parts[1].contains(".")
            && !parts[1].hasPrefix(".") && !parts[1].hasSuffix(".") && text.utf8.count <= 254
            && !text.contains(where: \.isWhitespace)
    }
}
