import CRMCore
import ServiceKit

@main
struct Main {
    static func main() async { await ServiceRunner.main(CRMCore.self) }
}
