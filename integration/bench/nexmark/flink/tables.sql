-- The tables over the generated files. ${DIR} is the directory that `nexmark generate` filled.
-- A time is kept as epoch milliseconds, which costs Flink less to read than a timestamp's text.

CREATE TEMPORARY TABLE person (
  id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING, `dateTime` BIGINT,
  extra STRING,
  ts AS TO_TIMESTAMP_LTZ(`dateTime`, 3),
  WATERMARK FOR ts AS ts - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'file://${DIR}/person', 'format' = 'csv');

CREATE TEMPORARY TABLE auction (
  id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, `dateTime` BIGINT,
  expires BIGINT, seller BIGINT, category BIGINT, extra STRING,
  ts AS TO_TIMESTAMP_LTZ(`dateTime`, 3),
  WATERMARK FOR ts AS ts - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'file://${DIR}/auction', 'format' = 'csv');

CREATE TEMPORARY TABLE bid (
  auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, `dateTime` BIGINT, extra STRING,
  ts AS TO_TIMESTAMP_LTZ(`dateTime`, 3),
  proc AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'file://${DIR}/bid', 'format' = 'csv');

CREATE TEMPORARY TABLE side_input (
  `key` BIGINT, `value` STRING
) WITH ('connector' = 'filesystem', 'path' = 'file://${DIR}/side', 'format' = 'csv');
