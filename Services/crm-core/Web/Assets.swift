import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit

/// Style sheet and chart library, served from where Debian's packages put them.
struct Assets: Sendable {
    private static let files: [(path: RouterPath, file: String, type: String)] = [
        ("/assets/bootstrap.css", "/usr/share/bootstrap-html/css/bootstrap.min.css", "text/css"),
        ("/assets/chart.js", "/usr/share/javascript/chart.js/chart.min.js", "text/javascript"),
    ]

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/assets/workspace.css") { _, _ in
            Response.text(
                String(decoding: PackageResources.workspace_css, as: UTF8.self), type: "text/css; charset=utf-8")
        }
        for (path, file, type) in Self.files {
            router.get(path) { _, _ in
                guard let data = try? Data(contentsOf: URL(filePath: file)) else {
                    throw Problem.notFound("file: install \(file)")
                }
                return Response(
                    status: .ok,
                    headers: [.contentType: "\(type); charset=utf-8", .cacheControl: "max-age=86400"],
                    body: .init(byteBuffer: ByteBuffer(bytes: data)))
            }
        }
    }
}
