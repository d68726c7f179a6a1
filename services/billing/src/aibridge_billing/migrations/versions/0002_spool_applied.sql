-- Written in the transaction that settles an envelope: a router deletes only what stands here.
CREATE TABLE spool_applied (
  router    text   NOT NULL,
  epoch     bigint NOT NULL,
  first_seq bigint NOT NULL CHECK (first_seq > 0),
  last_seq  bigint NOT NULL,
  PRIMARY KEY (router, epoch, first_seq),
  CHECK (last_seq >= first_seq)
) WITH (fillfactor = 50);

-- The same range again, or a longer one with the same beginning, is one row. Sorted, so that two consumers cannot deadlock.
CREATE FUNCTION note_applied(p_router text[], p_epoch bigint[], p_first bigint[], p_last bigint[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO spool_applied (router, epoch, first_seq, last_seq)
    SELECT ro, ep, fi, max(la) FROM unnest(p_router, p_epoch, p_first, p_last) AS u (ro, ep, fi, la)
     GROUP BY ro, ep, fi ORDER BY ro, ep, fi
  ON CONFLICT (router, epoch, first_seq) DO UPDATE SET last_seq = excluded.last_seq
   WHERE spool_applied.last_seq < excluded.last_seq;
$$;

-- What a router's runs have applied, as ranges that do not touch.
CREATE FUNCTION spool_ranges(p_router text, p_epoch_min bigint) RETURNS TABLE (epoch bigint, first_seq bigint, last_seq bigint)
LANGUAGE sql STABLE AS $$
  WITH reach AS (
    SELECT s.epoch, s.first_seq, s.last_seq,
           max(s.last_seq) OVER (PARTITION BY s.epoch ORDER BY s.first_seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM spool_applied s WHERE s.router = p_router AND s.epoch >= p_epoch_min),
  island AS (
    SELECT r.epoch, r.first_seq, r.last_seq,
           count(*) FILTER (WHERE r.before IS NULL OR r.first_seq > r.before + 1)
             OVER (PARTITION BY r.epoch ORDER BY r.first_seq) AS number FROM reach r)
  SELECT i.epoch, min(i.first_seq), max(i.last_seq) FROM island i GROUP BY i.epoch, i.number ORDER BY 1, 2;
$$;

-- Make one row of the rows that touch; returns how many rows went. A row that a consumer makes longer meanwhile is kept.
CREATE FUNCTION compact_spool_applied() RETURNS bigint LANGUAGE sql AS $$
  WITH many AS (SELECT router, epoch FROM spool_applied GROUP BY 1, 2 HAVING count(*) > 1),
  island AS (
    SELECT m.router, g.epoch, g.first_seq, g.last_seq
      FROM many m CROSS JOIN LATERAL spool_ranges(m.router, m.epoch) g WHERE g.epoch = m.epoch),
  gone AS (
    DELETE FROM spool_applied s USING island i
     WHERE s.router = i.router AND s.epoch = i.epoch AND s.first_seq > i.first_seq AND s.last_seq <= i.last_seq RETURNING 1),
  grown AS (
    UPDATE spool_applied s SET last_seq = i.last_seq FROM island i
     WHERE s.router = i.router AND s.epoch = i.epoch AND s.first_seq = i.first_seq AND s.last_seq < i.last_seq RETURNING 1)
  SELECT count(*) FROM gone;
$$;
