import BotGateway
import ServiceKit

@main
struct Main {
    static func main() async { await ServiceRunner.main(BotGateway.self) }
}
