/// The demo company: ten members of staff, two bots, a site form, two legal entities with a base each.
struct DemoCompany: Sendable {
    let portBase: Int
    var telegramPort: Int { portBase + 400 }
    var smtpPort: Int { portBase + 401 }
    var questionsPort: Int { portBase + 402 }

    static let password = "demo-throughline"
    let bots = [("shop", "111111:AAdemo-shop"), ("service", "222222:AAdemo-service")]
    let managers = ["maria", "oleg", "anna", "timur"]
    let formKey = "demo-site-form-key"

    private let staff: [(login: String, name: String, role: String)] = [
        ("admin", "Администратор", "admin"), ("head", "Сергей Волков", "head"),
        ("maria", "Мария Петрова", "manager"), ("oleg", "Олег Ким", "manager"),
        ("anna", "Анна Соколова", "manager"), ("timur", "Тимур Ахметов", "manager"),
        ("buh", "Елена Громова", "accountant"), ("buh2", "Ирина Белова", "accountant"),
        ("sklad", "Павел Орлов", "logistician"), ("it", "Дмитрий Жуков", "integrator"),
    ]

    /// How a member of staff calls himself.
    func name(of login: String) -> String { staff.first { $0.login == login }?.name ?? login }

    private var inquiries: String {
        "inquiries: { url: \"http://127.0.0.1:\(questionsPort)/hs/throughline\", login: demo, password: demo }"
    }

    var settings: String {
        var text = """
            company: { name: "Станкоторг", currency: RUB, timeZone: Europe/Moscow, locale: ru }
            organizations:
              - { code: ooo, name: "ООО Станкоторг", inn: "7707083893", kpp: "770701001", base: unf }
              - { code: ip, name: "ИП Станкоторг Сервис", base: ut }
            users:\n
            """
        for one in staff {
            text +=
                "  - { login: \(one.login), name: \"\(one.name)\", password: \"\(Self.password)\", role: \(one.role), email: \(one.login)@stankotorg.example }\n"
        }
        text += "apiKeys:\n  - { name: site-form, key: \"\(formKey)\", roles: [bot], channels: [site] }\nbots:\n"
        for (name, token) in bots {
            text +=
                "  - { name: \(name), channel: telegram, token: \"\(token)\", receive: poll, upstream: \"http://127.0.0.1:\(telegramPort)\", flow: lead }\n"
        }
        return text + """
            onec:
              - { base: unf, driver: commerceml, login: unf, password: "demo-unf", firstNumber: 1001, \(inquiries) }
              - { base: ut, driver: commerceml, login: ut, password: "demo-ut", firstNumber: 1001, \(inquiries) }
            smtp: { url: "smtp://127.0.0.1:\(smtpPort)", from: "crm@stankotorg.example" }\n
            """
    }

    var welcome: String {
        """

        Демонстрационная компания «Станкоторг» ожила. Откройте http://127.0.0.1:\(portBase)
          руководитель: head   менеджер: maria   бухгалтер: buh   администратор: admin
          пароль у всех: \(Self.password)
        Письма сотрудникам складываются в папку demo-mail в папке данных. Ctrl-C останавливает всё.
        """
    }
}
