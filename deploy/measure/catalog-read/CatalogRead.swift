import AccountingBridge
import Glibc

/// Reads a CommerceML catalog from a file as the bridge does, keeping nothing: `catalog-read FILE` prints the records that it found.
@main struct CatalogRead {
    static func main() throws {
        guard CommandLine.arguments.count == 2 else {
            print("usage: catalog-read FILE")
            exit(64)
        }
        print(try countCatalogRecords(file: CommandLine.arguments[1]))
    }
}
