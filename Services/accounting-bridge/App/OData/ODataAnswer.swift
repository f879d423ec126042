import Contracts
import Curl

/// What an answer of 1C's means (reference b.14, b.15, b.20).
struct ODataAnswer {
    enum Verdict: Sendable {
        case data(RawJSON)
        case noSuchEntity
        case exists
    }
    let judged: Verdict

    init(_ response: HTTPClient.Response, isWrite: Bool) throws {
        let type = response.header("content-type")?.lowercased() ?? ""
        let json = type.contains("json") ? try? JSON.decode(RawJSON.self, from: response.body) : nil
        let error = json?["odata.error"]
        let code = error?["code"]?.stringValue ?? ""
        let text = error?["message"]?["value"]?.stringValue ?? ""
        let page = String(decoding: response.body.prefix(4000), as: UTF8.self)
        if json == nil && page.contains("свободной лицензии") || text.contains("свободной лицензии") {
            throw DriverFailure.away("в 1С нет свободной лицензии")
        }
        switch response.status {
        case 204: judged = .data(.null)
        case 200..<300:
            if let json, error == nil {
                judged = .data(json)
            } else if response.body.isEmpty, isWrite {
                judged = .data(.null)
            } else {
                let what =
                    type.contains("html") ? "вместо данных пришла страница HTML" : "ответ оборван или не читается"
                throw isWrite ? DriverFailure.doubtful(what) : .away(what)
            }
        // A right to this one thing.
        case _ where code == "20": throw DriverFailure.refused("нет прав: \(text)")
        case 401, 403:
            throw DriverFailure.unfit(["1С не пускает нас (\(response.status)): логин, пароль или права: \(text)"])
        case _ where code == "15": judged = .exists
        case 404 where code == "9": judged = .noSuchEntity
        case _ where ["8", "10", "11"].contains(code):
            throw DriverFailure.unfit(["в базе нет того, что нужно обмену: \(text)"])
        case 404: throw DriverFailure.unfit(["по этому адресу нет интерфейса OData (404)"])
        case 500 where DriverFailure.away(text).isSomebodyElses: throw DriverFailure.away(text)
        case 500 where code == "-1": throw DriverFailure.refused(text.isEmpty ? "1С отказала без объяснения" : text)
        case 400..<500 where !code.isEmpty: throw DriverFailure.refused("\(text) (код \(code))")
        case 503, 429: throw DriverFailure.away("1С занята или на обслуживании (\(response.status))")
        default:
            let what = "1С ответила \(response.status)\(text.isEmpty ? "" : ": \(text)")"
            throw isWrite ? DriverFailure.doubtful(what) : .away(what)
        }
    }
}
