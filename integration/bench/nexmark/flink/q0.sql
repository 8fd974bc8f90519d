-- Pass through: what reading and writing alone cost.

CREATE TEMPORARY TABLE q0 (
  auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` BIGINT, extra STRING
) WITH (${SINK});

INSERT INTO q0
SELECT auction, bidder, price, `dateTime`, extra
FROM bid;
