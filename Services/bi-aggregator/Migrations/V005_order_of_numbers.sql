-- Numbers of orders are no longer digits alone: those who compare need one order of them whatever the cluster's alphabet is.
DROP INDEX fact_money_by_order;
CREATE INDEX fact_money_by_order ON fact ((substring(key FROM '[^/]+$') COLLATE "C")) WHERE counted AND metric IN ('money.received', 'money.refunded');
