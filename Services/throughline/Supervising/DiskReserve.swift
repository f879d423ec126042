import FoundationEssentials
import Glibc
import ServiceKit

/// Room set aside for the day the disk is full: given back, it lets PostgreSQL start and a person work, until there is more.
struct DiskReserve {
    let data: String

    /// MiB set aside, and below how many free ones they are given back.
    static let megabytes = 32
    static let alarm = 16

    private var path: String { data + "/reserve" }

    /// Sets room aside while there is plenty, and gives it back when there is next to none.
    func look() {
        guard let free = DiskRoom.free(data) else { return }
        let isThere = access(path, F_OK) == 0
        if free < Self.alarm, isThere {
            unlink(path)
            LogOutput.write(
                "throughline: the disk of \(data) is full (\(free) MiB free); the reserve of \(Self.megabytes) MiB was given back. "
                    + "Make room: what is written from now on has only that\n")
        } else if free > Self.megabytes * 8, !isThere {
            make()
        }
    }

    private func make() {
        let file = open(path, O_CREAT | O_WRONLY | O_EXCL, 0o600)
        guard file >= 0 else { return }
        defer { close(file) }
        // Really taken, and not a hole that the disk need not hold.
        if posix_fallocate(file, 0, off_t(Self.megabytes * 1_048_576)) != 0 { unlink(path) }
    }
}
