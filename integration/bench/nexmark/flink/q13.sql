-- Bounded side input: a join with a small table. (The published text looks rows up at the time of processing, which
-- Flink's filesystem connector no longer offers.)

CREATE TEMPORARY TABLE q13 (
  auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` BIGINT, `value` STRING
) WITH (${SINK});

INSERT INTO q13
SELECT b.auction, b.bidder, b.price, b.`dateTime`, s.`value`
FROM bid AS b
JOIN side_input AS s ON MOD(b.auction, 10000) = s.`key`;
