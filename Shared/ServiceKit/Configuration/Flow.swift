extension SuiteSettings.Flow {
    static let known: Set = [
        "name", "greeting", "consent", "consentText", "consentButton", "thanks", "phoneButton",
        "abandonAfter", "steps",
    ]

    /// The flow that comes with the product.
    public static let lead = SuiteSettings.Flow(
        name: "lead",
        greeting: "Здравствуйте! Поможем подобрать и оформить заказ, это займёт минуту.",
        consent: "button",
        consentText:
            "Нажимая кнопку, вы соглашаетесь на обработку персональных данных для ответа на ваше обращение.",
        consentButton: "✅ Согласен, продолжим",
        thanks: "Спасибо! Передали ваш запрос менеджеру, он скоро ответит прямо здесь.",
        phoneButton: "📱 Отправить мой номер",
        abandonAfter: 900,
        steps: [
            .init(id: "name", kind: "text", prompt: "Как к вам обращаться?", retry: nil),
            .init(
                id: "phone", kind: "phone",
                prompt: "По какому номеру с вами связаться? Нажмите кнопку или напишите номер.",
                retry: "Не похоже на номер телефона. Напишите, например: +7 916 123-45-67."),
            .init(id: "need", kind: "text", prompt: "Что вам нужно? Опишите в двух словах.", retry: nil),
        ])

    static func read(_ item: Section) -> SuiteSettings.Flow {
        let base = lead
        let steps = item.list("steps", ["id", "kind", "prompt", "retry"]) { step in
            SuiteSettings.FlowStep(
                id: step.required("id"),
                kind: step.choice("kind", ["text", "phone", "email"], default: "text"),
                prompt: step.required("prompt"), retry: step.string("retry"))
        }
        if steps.isEmpty { item.complain("a flow needs at least one step", "steps") }
        if Set(steps.map(\.id)).count != steps.count {
            item.complain("two steps carry the same id", "steps")
        }
        return SuiteSettings.Flow(
            name: item.required("name"), greeting: item.string("greeting") ?? base.greeting,
            consent: item.choice("consent", ["button", "passive"], default: "button"),
            consentText: item.string("consentText") ?? base.consentText,
            consentButton: item.string("consentButton") ?? base.consentButton,
            thanks: item.string("thanks") ?? base.thanks,
            phoneButton: item.string("phoneButton") ?? base.phoneButton,
            abandonAfter: item.int("abandonAfter", 1...604_800) ?? base.abandonAfter,
            steps: steps.isEmpty ? base.steps : steps)
    }
}
