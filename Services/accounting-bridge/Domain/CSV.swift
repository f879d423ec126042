/// Tables as text (RFC 4180), with `;`, `,` or a tab between the fields, whichever the first line has most of.
enum CSV {
    /// Fields of one row at most.
    static let fieldLimit = 200

    struct Malformed: Error, Equatable {
        let line: Int
        let reason: String
    }

    struct Row: Equatable {
        /// Where it begins in the text, from 1.
        let line: Int
        let fields: [String]
    }

    /// The rows, empty lines left out.
    static func read(_ text: String) throws(Malformed) -> [Row] {
        let bytes = Array(text.utf8)
        let separator = Self.separator(bytes)
        var (rows, fields, field) = ([Row](), [String](), [UInt8]())
        var (isQuoted, wasQuoted) = (false, false)
        var (line, begun) = (1, 1)
        var index = 0
        func endField() throws(Malformed) {
            guard fields.count < fieldLimit else { throw Malformed(line: line, reason: "больше \(fieldLimit) полей") }
            fields.append(String(decoding: field, as: UTF8.self))
            (field, wasQuoted) = ([], false)
        }
        func endRow() throws(Malformed) {
            try endField()
            if fields.contains(where: { !$0.isEmpty }) { rows.append(Row(line: begun, fields: fields)) }
            fields = []
        }
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "\n") { line += 1 }
            if isQuoted {
                if byte != UInt8(ascii: "\"") {
                    field.append(byte)
                } else if index < bytes.count, bytes[index] == byte {
                    field.append(byte)
                    index += 1
                } else {
                    isQuoted = false
                }
            } else if byte == UInt8(ascii: "\""), field.isEmpty, !wasQuoted {
                (isQuoted, wasQuoted) = (true, true)
            } else if byte == separator {
                try endField()
            } else if byte == UInt8(ascii: "\n") {
                try endRow()
                begun = line
            } else if byte == UInt8(ascii: "\r"), index == bytes.count || bytes[index] == UInt8(ascii: "\n") {
                continue
            } else {
                guard !wasQuoted else { throw Malformed(line: line, reason: "после кавычек стоит лишний текст") }
                field.append(byte)
            }
        }
        guard !isQuoted else { throw Malformed(line: begun, reason: "кавычки не закрыты") }
        if !field.isEmpty || !fields.isEmpty || wasQuoted { try endRow() }
        return rows
    }

    private static func separator(_ bytes: [UInt8]) -> UInt8 {
        let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        let choices: [UInt8] = [UInt8(ascii: ";"), UInt8(ascii: ","), UInt8(ascii: "\t")]
        return choices.max { left, right in
            line.count { $0 == left } < line.count { $0 == right }
        } ?? choices[0]
    }

    /// Rows with `;` between the fields and CRLF at their ends, as spreadsheets of Russian Windows read them.
    static func write(_ rows: [[String]]) -> String {
        rows.map { $0.map(quoted).joined(separator: ";") + "\r\n" }.joined()
    }

    private static func quoted(_ field: String) -> String {
        // By bytes: \r\n is one character.
        let needsQuotes = field.utf8.contains { ";\"\r\n,\t".utf8.contains($0) }
        return needsQuotes ? "\"" + field.replacing("\"", with: "\"\"") + "\"" : field
    }
}
