-- Two that compact, beside consumers that note, locked rows in different orders and were undone for each other's sake.
-- It now takes only rows that nobody holds, so it waits for nobody; what it leaves out touches the rest the next time.
CREATE OR REPLACE FUNCTION compact_spool_applied() RETURNS bigint LANGUAGE sql AS $$
  WITH many AS (SELECT router, epoch FROM spool_applied GROUP BY 1, 2 HAVING count(*) > 1),
  mine AS MATERIALIZED (
    SELECT s.router, s.epoch, s.first_seq, s.last_seq FROM spool_applied s JOIN many m USING (router, epoch)
       FOR UPDATE OF s SKIP LOCKED),
  reach AS (
    SELECT mine.*, max(last_seq) OVER (PARTITION BY router, epoch ORDER BY first_seq
                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM mine),
  numbered AS (
    SELECT reach.*, count(*) FILTER (WHERE before IS NULL OR first_seq > before + 1)
                      OVER (PARTITION BY router, epoch ORDER BY first_seq) AS number FROM reach),
  island AS (
    SELECT router, epoch, number, min(first_seq) AS first_seq, max(last_seq) AS last_seq FROM numbered GROUP BY 1, 2, 3),
  gone AS (
    DELETE FROM spool_applied s USING numbered n JOIN island i USING (router, epoch, number)
     WHERE s.router = n.router AND s.epoch = n.epoch AND s.first_seq = n.first_seq AND n.first_seq > i.first_seq RETURNING 1),
  grown AS (
    UPDATE spool_applied s SET last_seq = i.last_seq FROM island i
     WHERE s.router = i.router AND s.epoch = i.epoch AND s.first_seq = i.first_seq AND s.last_seq < i.last_seq RETURNING 1)
  SELECT count(*) FROM gone;
$$;
