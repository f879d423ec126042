-- Facts of money by the order that their key ends with: what a comparison with the books asks for.
CREATE INDEX fact_money_by_order ON fact ((substring(key FROM '[^/]+$'))) WHERE counted AND metric IN ('money.received', 'money.refunded');
