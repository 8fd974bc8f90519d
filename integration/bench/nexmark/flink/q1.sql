-- Currency: the price in euros.

CREATE TEMPORARY TABLE q1 (
  auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), `dateTime` BIGINT, extra STRING
) WITH (${SINK});

INSERT INTO q1
SELECT auction, bidder, 0.908 * price AS price, `dateTime`, extra
FROM bid;
