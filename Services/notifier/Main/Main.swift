import Notifier
import ServiceKit

@main
struct Main {
    static func main() async { await ServiceRunner.main(Notifier.self) }
}
