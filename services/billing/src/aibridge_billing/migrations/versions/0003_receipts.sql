-- What a receipt says that usage_event and rate_card do not. Written by settle_batch in the transaction of the charge.
CREATE TABLE receipt (
  event_id      uuid   PRIMARY KEY,
  account_id    uuid   NOT NULL,
  seq           bigint NOT NULL CHECK (seq > 0),           -- 1, 2, 3 … within the account
  request_id    uuid,                                      -- of the request, where the event is a later leg of its answer
  attempts      json   NOT NULL,                           -- json and not jsonb: the text is hashed as it stands
  reported      json   NOT NULL,
  lots          json   NOT NULL,
  debt_utok     bigint NOT NULL CHECK (debt_utok >= 0),    -- the part of the charge that no lot could pay
  previous_hash bytea  NOT NULL CHECK (octet_length(previous_hash) = 32),
  hash          bytea  NOT NULL CHECK (octet_length(hash) = 32),
  UNIQUE (account_id, seq)
);
CREATE INDEX receipt_leg ON receipt (request_id) WHERE request_id IS NOT NULL;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON receipt FOR EACH ROW EXECUTE FUNCTION append_only();

-- Batches that write receipts have numbers of their own: a call that began in the old settle_batch keeps an old number.
CREATE SEQUENCE receipt_batch START WITH 1000000000000;

-- The canonical text of a receipt (docs/reference/receipts.md). One expression, so that the planner inlines it; no part may be null,
-- since concat would leave it out.
CREATE FUNCTION receipt_document(
  event_id uuid, account_id uuid, seq bigint, request_id uuid, key_id uuid, occurred_at timestamptz, endpoint text, stream boolean,
  requested text, billed text, provider text, version int, source smallint, outcome smallint, first_ms int, total_ms int,
  attempts text, reported text, lots text, charge bigint, debt bigint,
  u_input bigint, u_cache_read bigint, u_cache_write_5m bigint, u_cache_write_1h bigint, u_output bigint, u_reasoning bigint,
  m_input bigint, m_cache_read bigint, m_cache_write_5m bigint, m_cache_write_1h bigint, m_output bigint, m_reasoning bigint)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT concat(
    '{"account_id":"', account_id,
    '","attempts":', attempts,
    ',"billed_model":', to_json(billed),
    ',"charge":{"cache_read":"', u_cache_read * coalesce(m_cache_read, 0),
    '","cache_write_1h":"', u_cache_write_1h * coalesce(m_cache_write_1h, 0),
    '","cache_write_5m":"', u_cache_write_5m * coalesce(m_cache_write_5m, 0),
    '","input":"', u_input * coalesce(m_input, 0),
    '","output":"', u_output * coalesce(m_output, 0),
    '","reasoning":"', u_reasoning * coalesce(m_reasoning, 0),
    '"},"charge_microtokens":"', charge,
    '","debt_microtokens":"', debt,
    '","endpoint":', to_json(endpoint),
    ',"event_id":"', event_id,
    '","first_content_ms":"', first_ms,
    '","key_id":', coalesce('"' || key_id::text || '"', 'null'),
    ',"lots":', lots,
    ',"multipliers":{"cache_read":"', coalesce(m_cache_read, 0),
    '","cache_write_1h":"', coalesce(m_cache_write_1h, 0),
    '","cache_write_5m":"', coalesce(m_cache_write_5m, 0),
    '","input":"', coalesce(m_input, 0),
    '","output":"', coalesce(m_output, 0),
    '","reasoning":"', coalesce(m_reasoning, 0),
    '"},"occurred_at":"', to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    '","outcome":"', coalesce((ARRAY['completed', 'client_gone', 'upstream_cut', 'upstream_error', 'recovered'])[outcome], outcome::text),
    '","price_version":"', version,
    '","provider":', to_json(provider),
    ',"reported":', reported,
    ',"request_id":"req_', replace(coalesce(request_id, event_id)::text, '-', ''),
    '","requested_model":', to_json(requested),
    ',"seq":"', seq,
    '","stream":', stream::text,
    ',"total_ms":"', total_ms,
    '","usage":{"cache_read":"', u_cache_read,
    '","cache_write_1h":"', u_cache_write_1h,
    '","cache_write_5m":"', u_cache_write_5m,
    '","input":"', u_input,
    '","output":"', u_output,
    '","reasoning":"', u_reasoning,
    '"},"usage_source":"', (ARRAY['final', 'partial', 'estimated', 'none'])[source],
    '"}')
$$;

-- Every receipt with its document, for reading and for the audit.
CREATE VIEW receipt_line AS
  SELECT r.event_id, r.account_id, r.seq, r.request_id, r.previous_hash, r.hash,
         receipt_document(
           e.event_id, r.account_id, r.seq, r.request_id, e.key_id, e.occurred_at, e.endpoint, e.stream, e.requested_model,
           e.billed_model, e.provider, e.price_version, e.usage_source, e.outcome, e.first_content_ms, e.total_ms,
           r.attempts::text, r.reported::text, r.lots::text, e.charge_utok, r.debt_utok,
           e.input_tok, e.cache_read_tok, e.cache_write_5m_tok, e.cache_write_1h_tok, e.output_tok, e.reasoning_tok,
           c.input, c.cache_read, c.cache_write_5m, c.cache_write_1h, c.output, c.reasoning) AS document
    FROM receipt r JOIN usage_event e ON e.event_id = r.event_id
    LEFT JOIN rate_card c ON c.model = e.billed_model AND c.version = e.price_version;

-- hash = sha256(hash of the row before || document); used as a window function over the new rows of an account.
CREATE FUNCTION receipt_link(state bytea, head bytea, document text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN sha256(coalesce(state, head) || convert_to(document, 'UTF8'));
END $$;
CREATE AGGREGATE receipt_chain(bytea, text) (SFUNC = receipt_link, STYPE = bytea);

-- The receipts of what settle_batch left in its working tables. On the line of what the account pays the charges lie one after
-- the other by event id, before what pays old debt: a charge consumed what it overlaps, and what lies beyond `taken` is its debt.
-- Nested loops are off, since nothing tells the planner how many events a batch has; the head of each chain still uses its index
-- by one, at a pretended cost for which the plan must not be compiled.
CREATE FUNCTION write_receipts(
  p_event uuid[], p_key uuid[], p_requested text[], p_billed text[], p_provider text[], p_version int[], p_input bigint[],
  p_cache_read bigint[], p_cache_write_5m bigint[], p_cache_write_1h bigint[], p_output bigint[], p_reasoning bigint[],
  p_charge bigint[], p_source smallint[], p_outcome smallint[], p_endpoint text[], p_stream boolean[], p_first_ms int[],
  p_total_ms int[], p_at timestamptz[], p_request uuid[], p_attempts text[], p_reported text[])
RETURNS void LANGUAGE plpgsql SET enable_nestloop = off SET jit = off AS $$
BEGIN
  WITH head AS MATERIALIZED (
    SELECT t.account_id, t.taken, coalesce(last.seq, 0) AS seq, coalesce(last.hash, decode(repeat('00', 32), 'hex')) AS hash
      FROM settling_total t LEFT JOIN LATERAL (
        SELECT r.seq, r.hash FROM receipt r WHERE r.account_id = t.account_id ORDER BY r.seq DESC LIMIT 1) last ON true),
  placed AS MATERIALIZED (
    SELECT s.event_id, s.account_id, head.hash AS head, head.seq + row_number() OVER each_account AS seq, s.charge_utok,
           least(head.taken, sum(s.charge_utok) OVER each_account - s.charge_utok)::bigint AS from_utok,
           least(head.taken, sum(s.charge_utok) OVER each_account)::bigint AS to_utok
      FROM settling_event s JOIN head ON head.account_id = s.account_id
    WINDOW each_account AS (PARTITION BY s.account_id ORDER BY s.event_id ROWS UNBOUNDED PRECEDING)),
  paid AS (
    SELECT p.event_id,
           '[' || string_agg('{"microtokens":"' || least(p.to_utok, l.from_utok + l.take) - greatest(p.from_utok, l.from_utok)
                             || '","order_no":' || to_json(l.order_no)::text || '}', ',' ORDER BY l.order_id) || ']' AS lots
      FROM placed p JOIN settling_lot l
        ON l.account_id = p.account_id AND l.from_utok < p.to_utok AND l.from_utok + l.take > p.from_utok
     WHERE p.to_utok > p.from_utok GROUP BY p.event_id),
  said AS (
    SELECT u.*, coalesce(x.at, '[]') AS attempts, coalesce(x.rp, '[]') AS reported, x.rq_id, p.account_id, p.seq, p.head,
           coalesce(paid.lots, '[]') AS lots, p.charge_utok - (p.to_utok - p.from_utok) AS debt
      FROM unnest(p_event, p_key, p_requested, p_billed, p_provider, p_version, p_input, p_cache_read, p_cache_write_5m,
                  p_cache_write_1h, p_output, p_reasoning, p_charge, p_source, p_outcome, p_endpoint, p_stream, p_first_ms,
                  p_total_ms, p_at) AS u (ev, ke, rq, bi, pr, ve, i, cr, c5, c1, o, rs, ch, so, ou, en, st, fm, tm, oc)
      JOIN placed p ON p.event_id = u.ev
      LEFT JOIN unnest(p_event, p_request, p_attempts, p_reported) AS x (ev, rq_id, at, rp) ON x.ev = u.ev
      LEFT JOIN paid ON paid.event_id = u.ev),
  chained AS (
    SELECT s.*, receipt_chain(s.head, receipt_document(
                  s.ev, s.account_id, s.seq, s.rq_id, s.ke, s.oc, s.en, s.st, s.rq, s.bi, s.pr, s.ve, s.so, s.ou, s.fm, s.tm,
                  s.attempts, s.reported, s.lots, s.ch, s.debt, s.i, s.cr, s.c5, s.c1, s.o, s.rs,
                  c.input, c.cache_read, c.cache_write_5m, c.cache_write_1h, c.output, c.reasoning)) OVER each_account AS hash
      FROM said s LEFT JOIN rate_card c ON c.model = s.bi AND c.version = s.ve
    WINDOW each_account AS (PARTITION BY s.account_id ORDER BY s.seq ROWS UNBOUNDED PRECEDING))
  INSERT INTO receipt (event_id, account_id, seq, request_id, attempts, reported, lots, debt_utok, previous_hash, hash)
    SELECT ev, account_id, seq, rq_id, attempts::json, reported::json, lots::json, debt,
           lag(hash, 1, head) OVER (PARTITION BY account_id ORDER BY seq), hash FROM chained ORDER BY account_id, seq;
END $$;

-- As before, and the receipts of the new events in the order of their ids. Missing attempts and reports count as none.
CREATE FUNCTION settle_batch(
  p_event uuid[], p_account uuid[], p_key uuid[], p_reservation uuid[], p_requested text[], p_billed text[], p_provider text[],
  p_version int[], p_input bigint[], p_cache_read bigint[], p_cache_write_5m bigint[], p_cache_write_1h bigint[],
  p_output bigint[], p_reasoning bigint[], p_charge bigint[], p_source smallint[], p_outcome smallint[], p_endpoint text[],
  p_stream boolean[], p_first_ms int[], p_total_ms int[], p_at timestamptz[],
  p_request uuid[], p_attempts text[], p_reported text[])
RETURNS TABLE (applied int, duplicates int) LANGUAGE plpgsql AS $$
DECLARE b bigint := nextval('receipt_batch');
BEGIN
  CREATE TEMP TABLE IF NOT EXISTS settling_event (
    event_id uuid, account_id uuid, reservation_id uuid, charge_utok bigint) ON COMMIT DELETE ROWS;
  CREATE TEMP TABLE IF NOT EXISTS settling_total (
    account_id uuid, total bigint, own bigint, taken bigint, excess bigint, pay bigint, tx_id bigint) ON COMMIT DELETE ROWS;
  CREATE TEMP TABLE IF NOT EXISTS settling_lot (
    account_id uuid, order_id bigint, order_no text, tx_id bigint, from_utok bigint, take bigint) ON COMMIT DELETE ROWS;
  DELETE FROM settling_event;                              -- an earlier call in this transaction left its rows
  DELETE FROM settling_total;
  DELETE FROM settling_lot;

  WITH recorded AS (
    INSERT INTO usage_event (event_id, account_id, key_id, reservation_id, requested_model, billed_model, provider, price_version,
                             input_tok, cache_read_tok, cache_write_5m_tok, cache_write_1h_tok, output_tok, reasoning_tok,
                             charge_utok, usage_source, outcome, endpoint, stream, first_content_ms, total_ms, occurred_at, batch_id)
    SELECT u.*, b
      FROM unnest(p_event, p_account, p_key, p_reservation, p_requested, p_billed, p_provider, p_version, p_input, p_cache_read,
                  p_cache_write_5m, p_cache_write_1h, p_output, p_reasoning, p_charge, p_source, p_outcome, p_endpoint,
                  p_stream, p_first_ms, p_total_ms, p_at)
        AS u (ev, ac, ke, re, rq, bi, pr, ve, i, cr, c5, c1, o, rs, ch, so, ou, en, st, fm, tm, at)
     ORDER BY u.ev                                         -- the same order everywhere: duplicates cannot deadlock
    ON CONFLICT DO NOTHING RETURNING event_id, account_id, reservation_id, charge_utok)
  INSERT INTO settling_event SELECT * FROM recorded;

  PERFORM 1 FROM account WHERE id IN (SELECT account_id FROM settling_event) ORDER BY id FOR UPDATE;
  IF EXISTS (SELECT 1 FROM settling_event s WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = s.account_id)) THEN
    RAISE EXCEPTION 'a charge names an account that does not exist';
  END IF;

  -- Spend from the account's own reservations that the events name: a hold closes and frees its surplus, a lease shrinks by
  -- what was charged. The account is locked, so that nobody else changes its reservations meanwhile.
  WITH named AS (SELECT account_id, reservation_id, sum(charge_utok)::bigint AS charged
                   FROM settling_event WHERE reservation_id IS NOT NULL GROUP BY 1, 2),
  before AS (SELECT r.id, r.account_id, r.remaining_utok AS old, r.kind, named.charged
               FROM reservation r JOIN named ON named.reservation_id = r.id AND named.account_id = r.account_id
              WHERE r.state = 0 ORDER BY r.id FOR UPDATE OF r),
  after AS (UPDATE reservation r
               SET remaining_utok = CASE WHEN before.kind = 1 THEN 0 ELSE greatest(0, before.old - before.charged) END,
                   state          = CASE WHEN before.kind = 1 THEN 1 ELSE 0 END
              FROM before WHERE r.id = before.id RETURNING before.account_id, before.old - r.remaining_utok AS freed),
  freed AS (SELECT account_id, sum(freed)::bigint AS freed FROM after GROUP BY 1),
  charged AS (SELECT account_id, sum(charge_utok)::bigint AS total FROM settling_event GROUP BY 1)
  INSERT INTO settling_total (account_id, total, own)
    SELECT charged.account_id, charged.total, coalesce(freed.freed, 0) FROM charged LEFT JOIN freed USING (account_id);

  -- A charge may use its own reservation and what is free, never another's reservation; the rest becomes debt.
  UPDATE settling_total s
     SET taken  = least(s.total, a.posted_utok - a.reserved_utok + s.own),
         excess = greatest(0, s.total - (a.posted_utok - a.reserved_utok + s.own)),
         pay    = least(a.debt_utok, greatest(0, a.posted_utok - a.reserved_utok + s.own - s.total))
    FROM account a WHERE a.id = s.account_id;
  UPDATE account a
     SET posted_utok = a.posted_utok - s.taken - s.pay, reserved_utok = a.reserved_utok - s.own,
         debt_utok = a.debt_utok + s.excess - s.pay, spent_utok = a.spent_utok + s.total, version = a.version + 1
    FROM settling_total s WHERE a.id = s.account_id;

  WITH posted AS (
    INSERT INTO journal_tx (kind, account_id, ref)
      SELECT 2, account_id, b || ':' || account_id FROM settling_total WHERE total + coalesce(pay, 0) > 0 RETURNING id, account_id)
  UPDATE settling_total s SET tx_id = posted.id FROM posted WHERE posted.account_id = s.account_id;

  -- Each lot that is used, as a stretch of what the account pays: [from_utok, from_utok + take).
  WITH open_lot AS (
    SELECT l.order_id, l.account_id, s.tx_id, s.taken + s.pay AS need, l.granted_utok - l.consumed_utok - l.refunded_utok AS rest,
           sum(l.granted_utok - l.consumed_utok - l.refunded_utok) OVER (PARTITION BY l.account_id ORDER BY l.order_id) AS upto
      FROM lot l JOIN settling_total s ON s.account_id = l.account_id WHERE l.is_open AND s.taken + s.pay > 0)
  INSERT INTO settling_lot
    SELECT l.account_id, l.order_id, o.public_no, l.tx_id, upto - rest, least(rest, need - (upto - rest))
      FROM open_lot l JOIN purchase_order o ON o.id = l.order_id WHERE upto - rest < need;
  UPDATE lot SET consumed_utok = consumed_utok + s.take,
                 is_open = (consumed_utok + s.take + refunded_utok < granted_utok)
    FROM settling_lot s WHERE lot.order_id = s.order_id;
  INSERT INTO journal_entry (tx_id, line, acct, order_id, amount_utok)
    SELECT tx_id, (row_number() OVER (PARTITION BY tx_id ORDER BY order_id))::smallint, 2, order_id, take FROM settling_lot
    UNION ALL SELECT tx_id, 0, 3, NULL, -total FROM settling_total WHERE total > 0
    UNION ALL SELECT tx_id, -1, 5, NULL, excess - pay FROM settling_total WHERE excess <> pay;

  PERFORM write_receipts(p_event, p_key, p_requested, p_billed, p_provider, p_version, p_input, p_cache_read, p_cache_write_5m,
                         p_cache_write_1h, p_output, p_reasoning, p_charge, p_source, p_outcome, p_endpoint, p_stream, p_first_ms,
                         p_total_ms, p_at, p_request, p_attempts, p_reported);
  RETURN QUERY SELECT (SELECT count(*)::int FROM settling_event), cardinality(p_event) - (SELECT count(*)::int FROM settling_event);
END $$;

-- Services of the version before call this one: their charges get receipts too, which name no attempt.
CREATE OR REPLACE FUNCTION settle_batch(
  p_event uuid[], p_account uuid[], p_key uuid[], p_reservation uuid[], p_requested text[], p_billed text[], p_provider text[],
  p_version int[], p_input bigint[], p_cache_read bigint[], p_cache_write_5m bigint[], p_cache_write_1h bigint[],
  p_output bigint[], p_reasoning bigint[], p_charge bigint[], p_source smallint[], p_outcome smallint[], p_endpoint text[],
  p_stream boolean[], p_first_ms int[], p_total_ms int[], p_at timestamptz[])
RETURNS TABLE (applied int, duplicates int) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT s.applied, s.duplicates FROM settle_batch(
    p_event, p_account, p_key, p_reservation, p_requested, p_billed, p_provider, p_version, p_input, p_cache_read,
    p_cache_write_5m, p_cache_write_1h, p_output, p_reasoning, p_charge, p_source, p_outcome, p_endpoint, p_stream, p_first_ms,
    p_total_ms, p_at, '{}'::uuid[], '{}'::text[], '{}'::text[]) s;
END $$;

-- Every row is a fault, as in ledger_violation. Recomputes every hash: for `aibridge-billing audit`, not for a dashboard.
CREATE VIEW receipt_violation AS
  SELECT 'a charge has no receipt' AS what, e.event_id::text AS id FROM usage_event e
    WHERE e.batch_id >= 1000000000000 AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.event_id = e.event_id)
  UNION ALL SELECT 'a receipt has no charge', r.event_id::text FROM receipt r
    WHERE NOT EXISTS (SELECT 1 FROM usage_event e WHERE e.event_id = r.event_id AND e.account_id = r.account_id)
  UNION ALL SELECT 'a receipt is not what was hashed', event_id::text FROM receipt_line
    WHERE hash <> sha256(previous_hash || convert_to(document, 'UTF8'))
  UNION ALL SELECT 'a receipt does not follow the one before', event_id::text FROM (
    SELECT event_id, seq, previous_hash, lag(seq, 1, 0::bigint) OVER each_account AS before,
           lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER each_account AS hash_before
      FROM receipt WINDOW each_account AS (PARTITION BY account_id ORDER BY seq)) r
    WHERE seq <> before + 1 OR previous_hash <> hash_before
  UNION ALL SELECT 'lots and debt are not the charge', r.event_id::text FROM receipt r JOIN usage_event e ON e.event_id = r.event_id
    WHERE e.charge_utok <> r.debt_utok
          + coalesce((SELECT sum((l ->> 'microtokens')::bigint) FROM json_array_elements(r.lots) l), 0)
  UNION ALL SELECT 'receipts of a batch are not what the journal says', t.ref FROM journal_tx t
    JOIN LATERAL (
      SELECT coalesce(sum(amount_utok) FILTER (WHERE acct = 3), 0) AS revenue,
             coalesce(sum(amount_utok) FILTER (WHERE acct = 2), 0) AS lots,
             least(0, coalesce(sum(amount_utok) FILTER (WHERE acct = 5), 0)) AS old_debt
        FROM journal_entry WHERE tx_id = t.id) j ON true
    LEFT JOIN (
      SELECT e.batch_id || ':' || e.account_id AS ref, sum(e.charge_utok) AS charged, sum(e.charge_utok - r.debt_utok) AS paid
        FROM receipt r JOIN usage_event e ON e.event_id = r.event_id GROUP BY 1) c ON c.ref = t.ref
    WHERE t.kind = 2 AND t.ref ~ '^[0-9]{13}'
      AND (coalesce(c.charged, 0) <> -j.revenue OR coalesce(c.paid, 0) <> j.lots + j.old_debt)
  UNION ALL SELECT 'receipts took from a lot what the journal does not say', x.ref || ' ' || x.order_no FROM (
    SELECT coalesce(c.ref, j.ref) AS ref, coalesce(c.order_no, j.order_no) AS order_no,
           coalesce(j.take, 0) - coalesce(c.take, 0) AS left_over
      FROM (SELECT e.batch_id || ':' || e.account_id AS ref, l ->> 'order_no' AS order_no, sum((l ->> 'microtokens')::bigint) AS take
              FROM receipt r JOIN usage_event e ON e.event_id = r.event_id CROSS JOIN LATERAL json_array_elements(r.lots) l
             GROUP BY 1, 2) c
      FULL JOIN (SELECT t.ref, o.public_no AS order_no, sum(n.amount_utok) AS take
                   FROM journal_tx t JOIN journal_entry n ON n.tx_id = t.id AND n.acct = 2 JOIN purchase_order o ON o.id = n.order_id
                  WHERE t.kind = 2 AND t.ref ~ '^[0-9]{13}' GROUP BY 1, 2) j
        ON j.ref = c.ref AND j.order_no = c.order_no) x
    WHERE x.left_over < 0;                                  -- more than nothing is old debt that the batch paid
