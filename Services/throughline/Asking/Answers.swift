import ArgumentParser
import Contracts
import ServiceKit

/// One field of an answer as a person reads it.
func field(_ json: RawJSON, _ key: String) -> String {
    guard let value: RawJSON = json[key] else { return "—" }
    return value.words
}

func items(_ json: RawJSON, _ key: String) -> [RawJSON] {
    guard let value: RawJSON = json[key] else { return [] }
    return value.list
}

/// Prints an answer as JSON, or as lines that a person reads.
func show(_ suite: SuiteOptions, _ json: RawJSON, _ lines: () -> [String]) {
    if suite.json { print(json.text) } else { for line in lines() { print(line) } }
}

func failed(_ what: String, _ status: Int, _ json: RawJSON) -> any Error {
    let words = [json["title"]?.stringValue, json["detail"]?.stringValue].compactMap { $0 }.joined(separator: ": ")
    return ValidationError("\(what): \(words.isEmpty ? "status \(status)" : words)")
}

func percentEncoded(_ text: String) -> String {
    var out = ""
    for byte in text.utf8 {
        let scalar = Unicode.Scalar(byte)
        if scalar.properties.isAlphabetic && byte < 128 || (48...57).contains(byte) {
            out.unicodeScalars.append(scalar)
        } else {
            let digits = String(byte, radix: 16, uppercase: true)
            out += digits.count < 2 ? "%0" : "%"
            out += digits
        }
    }
    return out
}

extension ServiceIdentity: ExpressibleByArgument {}
