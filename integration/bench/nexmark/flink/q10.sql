-- Log: every bid into files by day and minute.

CREATE TEMPORARY TABLE q10 (
  auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` BIGINT, extra STRING, dt STRING, hm STRING
) ${PARTITIONED} WITH (${SINK});

INSERT INTO q10
SELECT auction, bidder, price, `dateTime`, extra, DATE_FORMAT(ts, 'yyyy-MM-dd'), DATE_FORMAT(ts, 'HH:mm')
FROM bid;
