-- Highest bid: in each tumbling window the bids with the highest price.

CREATE TEMPORARY TABLE q7 (
  auction BIGINT, price BIGINT, bidder BIGINT, `dateTime` BIGINT, extra STRING
) WITH (${SINK});

INSERT INTO q7
SELECT b.auction, b.price, b.bidder, b.`dateTime`, b.extra
FROM bid AS b
JOIN (
  SELECT MAX(price) AS highest, window_end
  FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end
) AS tops
ON b.price = tops.highest
-- The published text takes a bid at the window's very end in, too; that one belongs to the next window.
WHERE CAST(b.ts AS TIMESTAMP(3)) >= tops.window_end - INTERVAL '10' SECOND
  AND CAST(b.ts AS TIMESTAMP(3)) < tops.window_end;
