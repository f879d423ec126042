/// A service's description: what every service answers alike, and what it alone does.
enum OpenAPI {
    static func text(_ own: [UInt8]) -> String {
        func common(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        return String(decoding: own, as: UTF8.self)
            .replacing("components:\n  schemas:\n", with: common(PackageResources.components_yaml), maxReplacements: 1)
            .replacing("\npaths:\n", with: "\npaths:\n" + common(PackageResources.paths_yaml), maxReplacements: 1)
    }
}
