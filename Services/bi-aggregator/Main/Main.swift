import BIAggregator
import ServiceKit

@main
struct Main {
    static func main() async { await ServiceRunner.main(BIAggregator.self) }
}
