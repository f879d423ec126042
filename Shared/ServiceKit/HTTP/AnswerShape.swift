/// An answer that says every field of its shape: what is not known is `null`, and only what a role may not see is
/// absent. A field `…Unknown` holds the reason why its sibling is `null`, and is absent when there is none.
public protocol AnswerShape: Encodable, Sendable {
    /// Properties that are no part of the answer.
    static var hidden: Set<String> { get }
}

extension AnswerShape {
    public static var hidden: Set<String> { [] }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: FieldName.self)
        for child in Mirror(reflecting: self).children {
            guard let name = child.label, !Self.hidden.contains(name) else { continue }
            let isAbsent = (child.value as? any Absentable)?.isAbsent == true
            if isAbsent, name.hasSuffix("Unknown") { continue }
            guard !isAbsent, let value = child.value as? any Encodable else {
                try container.encodeNil(forKey: FieldName(name))
                continue
            }
            try container.encode(value, forKey: FieldName(name))
        }
    }
}

private struct FieldName: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

private protocol Absentable { var isAbsent: Bool { get } }
extension Optional: Absentable {
    var isAbsent: Bool { if case .none = self { true } else { false } }
}
