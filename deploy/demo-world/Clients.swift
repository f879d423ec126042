import Contracts
import Primitives

/// People who write to the bots, answer their questions, and now and then ask again; and visitors of the site.
struct Clients: Sendable {
    let telegram: FakeTelegram
    let suite: SuiteAPI
    let company: DemoCompany

    private static let names = [
        "Иван Петров", "Ольга Смирнова", "Айдар Нурланов", "Елена Козлова", "Дмитрий Орлов", "Жанна Ким",
        "Алексей Фёдоров", "Наталья Белова", "Руслан Исаев", "Светлана Зуева",
    ]
    private static let needs = [
        "Токарный станок ТВ-320", "Ремонт фрезерного станка", "Резцы, 40 штук", "Пуско-наладка линии",
        "Компрессор на 500 литров", "Запчасти к 16К20", "Сверлильный станок", "Гидравлический пресс",
    ]
    private static let campaigns = ["yad_spring-sale", "vk_autumn", "site_main", ""]

    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await arrive() }
            group.addTask { await answer() }
            group.addTask { await fillForms() }
        }
    }

    private func person(_ chat: Int64) -> String { Self.names[Int(chat % Int64(Self.names.count))] }

    private func message(_ bot: String, _ chat: Int64, _ rest: String) {
        let number = telegram.nextMessageID()
        let seconds = Timestamp.now().milliseconds / 1000
        telegram.post(bot) { _ in
            "\"message\":{\"message_id\":\(number),\"from\":{\"id\":\(chat),\"is_bot\":false,\"first_name\":\"\(person(chat))\"},"
                + "\"chat\":{\"id\":\(chat),\"type\":\"private\"},\"date\":\(seconds),\(rest)}"
        }
    }

    /// A new client every few seconds, quick at first so that the company lives at once.
    private func arrive() async {
        var chat = 700_000 + Timestamp.now().milliseconds / 1000 % 100_000_000
        var count = 0
        while !Task.isCancelled {
            let bot = company.bots[count % 2].1
            let campaign = Self.campaigns[count % Self.campaigns.count]
            message(bot, chat, "\"text\":\"/start\(campaign.isEmpty ? "" : " \(campaign)")\"")
            chat += 1
            count += 1
            try? await Task.sleep(for: .milliseconds(count < 12 ? 700 : 6000))
        }
    }

    private func answer() async {
        for await sent in telegram.sent {
            if sent.text.hasPrefix("Спасибо") { continue }
            Task {
                try? await Task.sleep(for: .milliseconds(.random(in: 300...1500)))
                reply(sent)
            }
        }
    }

    private func reply(_ sent: FakeTelegram.Sent) {
        if sent.hasInline {
            telegram.post(sent.bot) { id in
                "\"callback_query\":{\"id\":\"\(id)\",\"from\":{\"id\":\(sent.chat),\"is_bot\":false,\"first_name\":\"\(person(sent.chat))\"},\"chat_instance\":\"1\",\"data\":\"consent\",\"message\":{\"message_id\":1,\"date\":0,\"chat\":{\"id\":\(sent.chat),\"type\":\"private\"}}}"
            }
        }
        if sent.text.contains("обращаться") {
            message(sent.bot, sent.chat, "\"text\":\"\(person(sent.chat))\"")
        } else if sent.asksContact {
            // Some share their card, some leave here.
            guard sent.chat % 7 != 0 else { return }
            message(
                sent.bot, sent.chat,
                "\"contact\":{\"phone_number\":\"79\(sent.chat % 1_000_000_000 + 100_000_000)\",\"first_name\":\"\(person(sent.chat))\",\"user_id\":\(sent.chat)}"
            )
        } else if sent.text.contains("Что вам нужно") {
            message(sent.bot, sent.chat, "\"text\":\"\(Self.needs[Int(sent.chat % Int64(Self.needs.count))])\"")
        } else if sent.text.hasPrefix("Здравствуйте, это") {
            message(sent.bot, sent.chat, "\"text\":\"Да, пришлите счёт, пожалуйста\"")
        }
    }

    private func fillForms() async {
        var number = Timestamp.now().milliseconds
        while !Task.isCancelled {
            number += 1
            let body = RawJSON.object([
                "channel": .string("site"), "conversationId": .string("form-\(number)"),
                "messageId": .string("1"), "text": .string(Self.needs[Int(number % 8)]),
                "sender": .object([
                    "name": .string(person(number)),
                    "phone": .string("8 916 \(number % 900 + 100)-12-34"),
                ]),
                "attribution": .object(["source": .string("yandex"), "campaign": .string("каталог")]),
            ])
            _ = try? await suite.call(.botGateway, "POST", "/api/v1/messages", token: company.formKey, body)
            try? await Task.sleep(for: .seconds(15))
        }
    }
}
