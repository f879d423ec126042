import Contracts
import Messaging
import Postgres
import Primitives

/// How the lines of orders began: their requests and deals, by the CRM's word. An order's story begins with them.
enum JourneyStarts {
    static func take(in handlers: inout EventHandlers) {
        handlers.on(LeadCreated.self) { lead, event, transaction in
            transaction.write(
                """
                INSERT INTO journey_start (journey_id, lead_number, lead_at) VALUES ($1, $2, $3)
                ON CONFLICT (journey_id) DO UPDATE SET lead_number = coalesce(journey_start.lead_number, excluded.lead_number),
                    lead_at = coalesce(journey_start.lead_at, excluded.lead_at)
                """, [.id(lead.journeyId), .int(lead.number), .time(event.at)])
        }
        handlers.on(DealCreated.self) { deal, event, transaction in
            guard let journey = deal.journeyId else { return }
            transaction.write(
                """
                INSERT INTO journey_start (journey_id, deal_number, deal_at) VALUES ($1, $2, $3)
                ON CONFLICT (journey_id) DO UPDATE SET deal_number = coalesce(journey_start.deal_number, excluded.deal_number),
                    deal_at = coalesce(journey_start.deal_at, excluded.deal_at)
                """, [.id(journey), .int(deal.number), .time(event.at)])
        }
    }

    static func lines(_ order: Row) throws -> [OrderStory.Line] {
        var lines: [OrderStory.Line] = []
        for (name, words) in [("lead", "Заявка № %"), ("deal", "Сделка № %")] {
            guard let number = try order.optionalInt("\(name)_number"), let at = try order.optionalTime("\(name)_at")
            else { continue }
            let what = words.replacing("%", with: "\(number)") + (name == "lead" ? " пришла" : " заведена")
            lines.append(OrderStory.Line(at: at, sign: "ok", words: what, exchangeId: nil))
        }
        return lines
    }
}
