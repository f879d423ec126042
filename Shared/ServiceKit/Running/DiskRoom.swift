import Glibc

/// How much room is left on the disk of a folder.
public enum DiskRoom {
    /// MiB that an ordinary user may still fill; nil when the folder cannot be asked.
    public static func free(_ folder: String) -> Int? {
        var info = statvfs()
        guard statvfs(folder, &info) == 0 else { return nil }
        return Int(UInt64(info.f_bavail) * UInt64(info.f_frsize) / 1_048_576)
    }
}
