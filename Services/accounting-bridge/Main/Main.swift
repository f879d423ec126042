import AccountingBridge
import ServiceKit

@main
struct Main {
    static func main() async { await ServiceRunner.main(AccountingBridge.self) }
}
