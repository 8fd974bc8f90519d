-- Average price by category: of the highest bids that were made while their auctions were open.

CREATE TEMPORARY TABLE q4 (
  category BIGINT, average BIGINT
) WITH (${SINK});

INSERT INTO q4
SELECT category, AVG(final)
FROM (
  SELECT a.id, a.category, MAX(b.price) AS final
  FROM auction AS a
  JOIN bid AS b ON a.id = b.auction
  WHERE b.`dateTime` BETWEEN a.`dateTime` AND a.expires
  GROUP BY a.id, a.category
)
GROUP BY category;
