import FoundationEssentials
import Primitives
import Yams

/// Walks a YAML document, remembers every problem with its line and column, and which keys were read: what
/// remains is unknown and a problem too. Environment variables, mapped by path, win over scalars.
final class SettingsReader {
    private(set) var problems: [String] = []
    private let environment: [String: String]
    private let readFile: (String) -> String?

    init(environment: [String: String], readFile: @escaping (String) -> String?) {
        self.environment = environment
        self.readFile = readFile
    }

    func complain(_ what: String, _ path: String, _ node: Node?) {
        let place = node?.mark.map { "line \($0.line), column \($0.column): " } ?? ""
        problems.append("\(place)\(path): \(what)")
    }

    /// `smtp.url` → `SMTP_URL`, `http.host` → `HTTP_HOST`, `publicUrl` → `PUBLIC_URL`.
    static func variable(_ path: String) -> String {
        var name = ""
        for character in path {
            if character == "." {
                name += "_"
            } else {
                if character.isUppercase { name += "_" }
                name += character.uppercased()
            }
        }
        return name
    }

    func fromEnvironment(_ path: String) -> String? {
        let name = Self.variable(path)
        if let value = environment[name] { return value }
        guard let file = environment[name + "_FILE"] else { return nil }
        guard let text = readFile(file) else {
            problems.append("\(name)_FILE: \(file) cannot be read")
            return nil
        }
        return text
    }

    func section(_ node: Node?, _ path: String, _ known: Set<String>) -> Section {
        Section(reader: self, node: node, path: path, known: known)
    }

    func file(_ path: String) -> String? { readFile(path) }
}

/// One mapping of the document.
struct Section {
    let reader: SettingsReader
    let node: Node?
    let path: String

    init(reader: SettingsReader, node: Node?, path: String, known: Set<String>) {
        self.reader = reader
        self.node = node
        self.path = path
        guard let node else { return }
        if case .scalar(let scalar) = node, ["", "~", "null"].contains(scalar.string) { return }
        guard let mapping = node.mapping else {
            reader.complain("a mapping of names to values is wanted here", path, node)
            return
        }
        for (key, _) in mapping {
            let name = key.string ?? "?"
            if !known.contains(name) {
                let hint = known.sorted().joined(separator: ", ")
                reader.complain("unknown setting; known here: \(hint)", join(name), key)
            }
        }
    }

    func join(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
    func child(_ key: String) -> Node? { node?.mapping?[key] }

    /// - Parameter inList: list items cannot come from the environment.
    func string(_ key: String, environment: Bool = true) -> String? {
        if environment, !path.contains("["), let value = reader.fromEnvironment(join(key)) {
            return value
        }
        guard let child = child(key) else { return nil }
        guard let scalar = child.scalar else {
            reader.complain("a single value is wanted", join(key), child)
            return nil
        }
        return scalar.string
    }

    func required(_ key: String) -> String {
        if let value = string(key), !value.isEmpty { return value }
        reader.complain("is missing", join(key), node)
        return ""
    }

    /// A secret: given in place, or as `keyFile`.
    func secret(_ key: String) -> String? {
        if let file = string(key + "File") {
            guard let text = reader.file(file) else {
                reader.complain("the file \(file) cannot be read", join(key + "File"), child(key + "File"))
                return nil
            }
            return text
        }
        return string(key)
    }

    func requiredSecret(_ key: String) -> String {
        if let value = secret(key), !value.isEmpty { return value }
        reader.complain("is missing (or \(key)File)", join(key), node)
        return ""
    }

    func int(_ key: String, _ range: ClosedRange<Int64>) -> Int64? {
        guard let text = string(key) else { return nil }
        guard let value = Int64(text), range.contains(value) else {
            reader.complain(
                "a whole number from \(range.lowerBound) to \(range.upperBound) is wanted, not «\(text)»",
                join(key), child(key))
            return nil
        }
        return value
    }

    func choice(_ key: String, _ allowed: [String], default fallback: String?) -> String {
        guard let text = string(key) ?? fallback else {
            reader.complain("is missing; one of \(allowed.joined(separator: ", "))", join(key), node)
            return allowed[0]
        }
        if !allowed.contains(text) {
            reader.complain(
                "«\(text)» is not one of \(allowed.joined(separator: ", "))", join(key), child(key))
        }
        return text
    }

    func strings(_ key: String) -> [String] {
        guard let child = child(key) else { return [] }
        guard let items = child.sequence else {
            reader.complain("a list is wanted", join(key), child)
            return []
        }
        return items.compactMap { $0.scalar?.string }
    }

    func list<Value>(_ key: String, _ known: Set<String>, _ read: (Section) -> Value) -> [Value] {
        guard let child = child(key) else { return [] }
        guard let items = child.sequence else {
            reader.complain("a list is wanted", join(key), child)
            return []
        }
        return items.enumerated().map { index, item in
            read(Section(reader: reader, node: item, path: "\(join(key))[\(index)]", known: known))
        }
    }

    func complain(_ what: String, _ key: String) { reader.complain(what, join(key), child(key) ?? node) }
}
