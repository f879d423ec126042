/// What the publisher says, and what of it is taken.
extension SubscriptionMachine {
    mutating func welcome(_ welcome: Welcome, now: Double) -> [Action] {
        heard(now)
        unanswered = 0
        switch phase {
        case .paused: return []
        case .settling(let settlement): return settlementAnswer(settlement, welcome, now: now)
        case .stopped:
            // Asked again while stopped: it may fit again, after another subscriber's heal.
            guard welcome.status == .match, welcome.seq == durable.seq else { return [] }
            term = welcome.term
        case .hello, .syncing, .live:
            // An answer to an earlier question tells nothing about where we are now.
            guard welcome.seq == accepted.seq else { return [] }
            guard accept(term: welcome.term) else { return older(welcome.term, now: now) }
        }
        head = welcome.head
        switch welcome.status {
        case .match:
            accepted.epoch = welcome.epoch
            phase = head > accepted.seq ? .syncing : .live
            behindSince = head > accepted.seq ? now - Self.tailPatience : nil
            return ask(now: now)
        case .ahead:
            return stop(.forked("our #\(accepted.seq) is beyond its last #\(welcome.head)"))
        case .diverged:
            return stop(.forked("its #\(accepted.seq) is another event than ours"))
        case .expired:
            return stop(.hole(oldest: welcome.oldest))
        }
    }

    mutating func beacon(_ beacon: Beacon, now: Double) -> [Action] {
        heard(now)
        guard phase == .live || phase == .syncing else { return [] }
        if let actions = anotherTerm(beacon.term, now: now) { return actions }
        if beacon.epoch != accepted.epoch || isSuspicious(beacon, now: now) {
            return restart(from: durable, now: now)
        }
        // What comes next for us is no longer kept: asked, it says so, and the stream stops visibly.
        if beacon.oldest > accepted.seq + 1, ready.isEmpty { return restart(from: durable, now: now) }
        head = max(head, beacon.head)
        if head > accepted.seq {
            if behindSince == nil { behindSince = now }
        } else {
            phase = .live
        }
        return ask(now: now)
    }

    /// Another link at our place, or less than we have, and not for a moment only: an older copy may have been put in the
    /// publisher's place. Only HELLO can tell, for a page may have overtaken a beacon.
    private mutating func isSuspicious(_ beacon: Beacon, now: Double) -> Bool {
        guard beacon.head < accepted.seq else {
            lowerSince = nil
            return beacon.head == accepted.seq && beacon.headchain != accepted.link
        }
        let since = lowerSince ?? now
        lowerSince = since
        return now - since >= Self.lowerPatience
    }

    mutating func page(_ batch: EventBatch, now: Double) -> [Action] {
        pageAskedAt = nil
        unanswered = 0
        let before = accepted.seq
        let actions = events(batch, isFromLog: true, now: now)
        refilled += accepted.seq - before
        return actions
    }

    mutating func events(_ batch: EventBatch, isFromLog: Bool = false, now: Double) -> [Action] {
        heard(now)
        guard phase == .live || phase == .syncing else { return [] }
        if let actions = anotherTerm(batch.header.term, now: now) { return actions }
        guard batch.header.epoch == accepted.epoch else { return restart(from: durable, now: now) }
        head = max(head, batch.header.head, batch.last)
        var actions = take(batch, isFromLog: isFromLog)
        while phase == .live || phase == .syncing, let next = ahead.removeValue(forKey: accepted.seq + 1) {
            actions += take(next, isFromLog: false)
        }
        if case .stopped = phase { return actions }
        if head > accepted.seq {
            phase = .syncing
            if behindSince == nil { behindSince = now }
        } else {
            phase = .live
            behindSince = nil
            ahead = [:]
        }
        return actions + ask(now: now)
    }

    private mutating func take(_ batch: EventBatch, isFromLog: Bool) -> [Action] {
        if batch.bodies.isEmpty || batch.last <= accepted.seq { return [] }
        guard batch.first <= accepted.seq + 1 else {
            if ahead.count < Self.aheadLimit { ahead[batch.first] = batch }
            return []
        }
        guard readyBytes < Self.readyLimit else { return [] }
        var link = batch.header.chainBefore
        var fresh: [Event] = []
        for (offset, body) in batch.bodies.enumerated() {
            let seq = batch.first + Int64(offset)
            if seq == accepted.seq + 1, link != accepted.link {
                guard isFromLog else { return doubt(batch.first) }
                return stop(.forked("the event before #\(seq) is another than ours"))
            }
            link = link.next(seq: seq, body: body)
            if seq > accepted.seq { fresh.append(Event(seq: seq, link: link, body: body)) }
        }
        guard link == batch.header.chainAfter else {
            guard isFromLog else { return doubt(batch.first) }
            return stop(.quarantined(at: batch.first))
        }
        ready += fresh
        readyBytes += fresh.reduce(0) { $0 + $1.footprint }
        accepted.seq = batch.last
        accepted.link = link
        doubtedAt = nil
        return []
    }

    /// A live frame that does not fit is not taken; what the log says decides.
    private mutating func doubt(_ seq: Int64) -> [Action] {
        ahead = [:]
        behindSince = -.infinity
        guard doubtedAt != seq else { return [] }
        doubtedAt = seq
        return [.alarm("a live batch from #\(seq) does not fit its chain: the log is asked")]
    }

    /// Asks for what is missing, one page at a time, and a lost tail only after a short patience:
    /// mostly the live frame is just behind the beacon.
    mutating func ask(now: Double) -> [Action] {
        guard head > accepted.seq, pageAskedAt == nil, readyBytes < Self.readyLimit / 2 else {
            if head <= accepted.seq { behindSince = nil }
            return []
        }
        let waited = behindSince.map { now - $0 } ?? 0
        guard waited >= Self.tailPatience || !ahead.isEmpty else { return [] }
        phase = .syncing
        pageAskedAt = now
        return [.askPage(from: accepted.seq + 1)]
    }

    /// What is done when the publisher speaks in another term than before: an older one is a zombie and is ignored; a newer
    /// one has started anew, perhaps from an older copy of its log, so it is asked where it is before anything is taken.
    private mutating func anotherTerm(_ term: Int64, now: Double) -> [Action]? {
        let known = self.term
        guard accept(term: term) else { return older(term, now: now) }
        return known != 0 && term > known ? restart(from: durable, now: now) : nil
    }

    private mutating func accept(term: Int64) -> Bool {
        guard term >= self.term else { return false }
        self.term = term
        olderSince = nil
        return true
    }

    /// A zombie speaks beside a living leader; when nobody else does, an older copy of the publisher's log was put in its
    /// place: it is asked where we are in it, and that decides.
    private mutating func older(_ term: Int64, now: Double) -> [Action] {
        let isNews = olderSince == nil
        let since = olderSince ?? now
        olderSince = since
        guard now - since >= Self.zombiePatience else {
            return isNews ? [.alarm("a publisher of an older term speaks")] : []
        }
        olderSince = nil
        self.term = term
        return restart(from: durable, now: now) + [
            .alarm("the publisher's term went back to \(term): it is asked where it is")
        ]
    }
}
