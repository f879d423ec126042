import Testing

/// The test runner's entry. Named explicitly so that the build needs no index of all symbols, which discovery would
/// read and which costs a fifth of a clean build's time.
@main
struct Runner {
    static func main() async { await Testing.__swiftPMEntryPoint() as Never }
}
