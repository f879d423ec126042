extension Array {
    /// The elements in their order, in parts of `size` at most: what is sent, written or asked at once has a limit.
    public func parts(of size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}
