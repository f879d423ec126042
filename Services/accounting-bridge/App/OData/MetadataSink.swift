import Curl
import Synchronization
import XMLStream

/// Takes $metadata piece by piece on the transfer's own queue.
final class MetadataSink: Sendable {
    private struct State {
        let reader: ODataMetadataReader
        let xml: XMLReader
        var size = 0
        var response: HTTPClient.Response?
        var failure: DriverFailure?
    }
    private let state: Mutex<State>

    init(_ wanted: Set<String>) {
        let reader = ODataMetadataReader(wanted)
        state = Mutex(State(reader: reader, xml: XMLReader(reader)))
    }

    var failure: DriverFailure? { state.withLock { $0.failure } }
    var response: HTTPClient.Response? { state.withLock { $0.response } }

    func head(_ response: HTTPClient.Response) {
        state.withLock { state in
            state.response = response
            if response.status == 401 || response.status == 403 {
                state.failure = .unfit(["1С не пускает нас (\(response.status)): логин, пароль или права"])
            } else if response.status == 404 {
                state.failure = .unfit(["по этому адресу нет интерфейса OData (404)"])
            } else if response.status != 200 {
                state.failure = .away("1С ответила \(response.status) на запрос описания")
            } else if response.header("content-type")?.lowercased().contains("html") == true {
                state.failure = .away("вместо описания базы пришла страница HTML")
            }
        }
    }

    /// Whether more is wanted.
    func feed(_ bytes: [UInt8]) -> Bool {
        state.withLock { state in
            guard state.failure == nil else { return false }
            state.size += bytes.count
            do { try state.xml.feed(bytes) } catch {
                state.failure = .away("описание базы не читается: \(error)")
                return false
            }
            return true
        }
    }

    func finish() throws -> (ODataMetadata, size: Int) {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            do { try state.xml.finish() } catch { throw DriverFailure.away("описание базы обрывается: \(error)") }
            return (state.reader.metadata, state.size)
        }
    }
}
