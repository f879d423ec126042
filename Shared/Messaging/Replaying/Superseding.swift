import Contracts
import Primitives

/// A changed message is a new one: its own id, the old one's in `supersedes`; everything else as it was.
enum Superseding {
    static func body(of old: [UInt8], old id: ID, new: ID, data: RawJSON) throws -> [UInt8] {
        guard case .object(var event) = try JSON.decode(RawJSON.self, from: old) else {
            throw ReplayRefused("message \(id) is no event: it cannot be changed")
        }
        event["id"] = .string(new.description)
        event["supersedes"] = .string(id.description)
        event["data"] = data
        let body = Array(try JSON.encode(RawJSON.object(event)))
        guard body.count <= EventDraft.bodyLimit else {
            throw EventTooLarge(type: "superseding \(id)", bytes: body.count)
        }
        return body
    }
}
