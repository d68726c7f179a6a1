-- The ledger. 1 plan token = 1 000 000 utok; every amount is an integer number of utok.
-- Lock order, everywhere: order, then accounts by ascending id, then reservation, then lot.

CREATE TABLE product (
  id           text     PRIMARY KEY,
  title        text     NOT NULL,
  grant_utok   bigint   NOT NULL CHECK (grant_utok BETWEEN 1 AND 1000000000000000000),
  price_minor  bigint   NOT NULL CHECK (price_minor >= 0),
  currency     char(3)  NOT NULL CHECK (currency = upper(currency)),
  active       boolean  NOT NULL DEFAULT true
);

CREATE TABLE rate_card (                                   -- rows are never changed: a new price is a new version
  model          text        NOT NULL,
  version        int         NOT NULL CHECK (version > 0),
  valid_from     timestamptz NOT NULL DEFAULT now(),
  input          bigint      NOT NULL CHECK (input          BETWEEN 0 AND 1000000000),
  output         bigint      NOT NULL CHECK (output         BETWEEN 0 AND 1000000000),
  cache_read     bigint      NOT NULL CHECK (cache_read     BETWEEN 0 AND 1000000000),
  cache_write_5m bigint      NOT NULL CHECK (cache_write_5m BETWEEN 0 AND 1000000000),
  cache_write_1h bigint      NOT NULL CHECK (cache_write_1h BETWEEN 0 AND 1000000000),
  reasoning      bigint      NOT NULL CHECK (reasoning      BETWEEN 0 AND 1000000000),
  PRIMARY KEY (model, version)
);

CREATE TABLE account (
  id            uuid     PRIMARY KEY,                      -- the id auth gave the owner
  status        smallint NOT NULL DEFAULT 1 CHECK (status IN (1, 2, 3)),     -- active, suspended, closed
  posted_utok   bigint   NOT NULL DEFAULT 0 CHECK (posted_utok BETWEEN 0 AND 4000000000000000000),
  reserved_utok bigint   NOT NULL DEFAULT 0 CHECK (reserved_utok >= 0),
  debt_utok     bigint   NOT NULL DEFAULT 0 CHECK (debt_utok >= 0),
  spent_utok    bigint   NOT NULL DEFAULT 0 CHECK (spent_utok >= 0),         -- only ever grows
  version       bigint   NOT NULL DEFAULT 0,
  CONSTRAINT reserved_within_posted CHECK (reserved_utok <= posted_utok),
  CONSTRAINT debt_only_when_nothing_is_free CHECK (debt_utok = 0 OR posted_utok = reserved_utok)
) WITH (fillfactor = 50);

CREATE TABLE purchase_order (
  id           bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,            -- also the FIFO order of the lots
  public_no    text     NOT NULL UNIQUE,
  account_id   uuid     NOT NULL REFERENCES account,
  product_id   text     NOT NULL REFERENCES product,
  status       smallint NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 5),   -- created, paid, part refunded, refunded, failed, charged back
  price_minor  bigint   NOT NULL CHECK (price_minor >= 0),
  currency     char(3)  NOT NULL,
  grant_utok   bigint   NOT NULL CHECK (grant_utok BETWEEN 1 AND 1000000000000000000),
  provider     text     NOT NULL,                                            -- who took the money; a payment notice must match
  provider_ref text,
  created_at   timestamptz NOT NULL DEFAULT now(),
  paid_at      timestamptz,
  UNIQUE (provider, provider_ref)
);

CREATE TABLE lot (                                         -- what one paid order granted
  order_id      bigint  PRIMARY KEY REFERENCES purchase_order,
  account_id    uuid    NOT NULL REFERENCES account,
  granted_utok  bigint  NOT NULL CHECK (granted_utok > 0),
  consumed_utok bigint  NOT NULL DEFAULT 0 CHECK (consumed_utok >= 0),
  refunded_utok bigint  NOT NULL DEFAULT 0 CHECK (refunded_utok >= 0),
  is_open       boolean NOT NULL DEFAULT true,
  CONSTRAINT refund_within_unused CHECK (consumed_utok + refunded_utok <= granted_utok),
  CONSTRAINT open_means_something_is_left CHECK (is_open = (consumed_utok + refunded_utok < granted_utok))
) WITH (fillfactor = 70);
CREATE INDEX lot_fifo ON lot (account_id, order_id) WHERE is_open;           -- is_open flips once: updates stay on the page

CREATE TABLE reservation (
  id              uuid     PRIMARY KEY,                    -- made by the holder before the first send
  account_id      uuid     NOT NULL REFERENCES account,
  kind            smallint NOT NULL CHECK (kind IN (1, 2)),                  -- hold of one request, lease of a worker
  holder          text     NOT NULL,
  amount_utok     bigint   NOT NULL CHECK (amount_utok > 0),
  remaining_utok  bigint   NOT NULL CHECK (remaining_utok BETWEEN 0 AND amount_utok),
  state           smallint NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3), -- open, closed, voided, expired
  created_at      timestamptz NOT NULL DEFAULT now(),
  expires_at      timestamptz NOT NULL,                    -- the holder admits nothing after this
  hard_expires_at timestamptz NOT NULL,                    -- billing takes the rest back after this
  CHECK (state = 0 OR remaining_utok = 0),
  CHECK (hard_expires_at > expires_at)
) WITH (fillfactor = 70);
CREATE INDEX reservation_due  ON reservation (hard_expires_at) WHERE state = 0;
CREATE INDEX reservation_open ON reservation (account_id)      WHERE state = 0;

CREATE TABLE usage_event (                                 -- one row per charged exchange
  event_id        uuid     NOT NULL PRIMARY KEY,           -- the request id, version 7: unique, and ordered by time
  account_id      uuid     NOT NULL,
  key_id          uuid,
  reservation_id  uuid,
  requested_model text     NOT NULL,
  billed_model    text     NOT NULL,
  provider        text     NOT NULL,
  price_version   int      NOT NULL,
  input_tok          bigint NOT NULL CHECK (input_tok          BETWEEN 0 AND 100000000),
  cache_read_tok     bigint NOT NULL CHECK (cache_read_tok     BETWEEN 0 AND 100000000),
  cache_write_5m_tok bigint NOT NULL CHECK (cache_write_5m_tok BETWEEN 0 AND 100000000),
  cache_write_1h_tok bigint NOT NULL CHECK (cache_write_1h_tok BETWEEN 0 AND 100000000),
  output_tok         bigint NOT NULL CHECK (output_tok         BETWEEN 0 AND 100000000),
  reasoning_tok      bigint NOT NULL CHECK (reasoning_tok      BETWEEN 0 AND 100000000),
  charge_utok     bigint   NOT NULL CHECK (charge_utok BETWEEN 0 AND 1000000000000000000),
  usage_source    smallint NOT NULL CHECK (usage_source BETWEEN 1 AND 4),    -- final, partial, estimated, none
  outcome         smallint NOT NULL,
  endpoint        text     NOT NULL,
  stream          boolean  NOT NULL,
  first_content_ms int     NOT NULL,
  total_ms        int      NOT NULL,
  batch_id        bigint   NOT NULL,
  occurred_at     timestamptz NOT NULL,
  recorded_at     timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (event_id);
CREATE TABLE usage_event_default PARTITION OF usage_event DEFAULT;
CREATE INDEX usage_event_account ON usage_event (account_id, event_id DESC);
CREATE SEQUENCE settlement_batch;

CREATE TABLE usage_dead_letter (                           -- events that cannot be settled wait here for a person
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id    uuid UNIQUE,
  payload     jsonb NOT NULL,
  error       text  NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  resolved_at timestamptz
);

CREATE TABLE journal_tx (
  id         bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       smallint NOT NULL,                            -- 1 purchase 2 usage 3 refund 4 adjustment 5 debt paid 6 refund reversed
  account_id uuid     NOT NULL,
  ref        text     NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (kind, ref)                                       -- every posting is idempotent
);
CREATE TABLE journal_entry (
  tx_id       bigint   NOT NULL REFERENCES journal_tx,
  line        smallint NOT NULL,
  acct        smallint NOT NULL,                           -- 1 cash clearing 2 customer lot 3 revenue 4 refund clearing 5 receivable 6 adjustment
  order_id    bigint,
  amount_utok bigint   NOT NULL CHECK (amount_utok <> 0),  -- debit positive, credit negative
  PRIMARY KEY (tx_id, line)
);
CREATE INDEX journal_entry_lot ON journal_entry (order_id) WHERE acct = 2;

CREATE FUNCTION journal_sum_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM new_rows GROUP BY tx_id HAVING sum(amount_utok) <> 0) THEN
    RAISE EXCEPTION 'a journal transaction does not sum to zero';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER journal_sum_zero AFTER INSERT ON journal_entry REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION journal_sum_zero();

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON journal_entry FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON journal_tx    FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON usage_event   FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON rate_card     FOR EACH ROW EXECUTE FUNCTION append_only();

CREATE TABLE refund (
  id           uuid     PRIMARY KEY,                       -- the idempotency key, also sent to the payment provider
  order_id     bigint   NOT NULL REFERENCES purchase_order,
  utok         bigint   NOT NULL CHECK (utok > 0),
  money_minor  bigint   NOT NULL CHECK (money_minor >= 0),
  state        smallint NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),    -- pending, succeeded, failed
  requested_by uuid,
  created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX refund_one_pending ON refund (order_id) WHERE state = 0;

-- ------------------------------------------------------------------------------------------------ operations

-- Consume from the account's open lots, oldest first, and write the balanced lines against `p_acct`.
CREATE FUNCTION take_lots(p_tx bigint, p_account uuid, p_amount bigint, p_acct smallint) RETURNS void LANGUAGE sql AS $$
  WITH open_lot AS (
    SELECT order_id, granted_utok - consumed_utok - refunded_utok AS rest,
           sum(granted_utok - consumed_utok - refunded_utok) OVER (ORDER BY order_id) AS upto
      FROM lot WHERE account_id = p_account AND is_open),
  share AS (
    SELECT order_id, least(rest, p_amount - (upto - rest))::bigint AS take FROM open_lot WHERE upto - rest < p_amount),
  moved AS (
    UPDATE lot SET consumed_utok = consumed_utok + share.take,
                   is_open = (consumed_utok + share.take + refunded_utok < granted_utok)
      FROM share WHERE lot.order_id = share.order_id RETURNING lot.order_id, share.take)
  INSERT INTO journal_entry (tx_id, line, acct, order_id, amount_utok)
    SELECT p_tx, (row_number() OVER ())::smallint, 2, order_id, take FROM moved
    UNION ALL SELECT p_tx, 0, p_acct, NULL, -p_amount;
$$;

-- reserved -= p_back; where there is debt the freed tokens pay it first, which keeps debt_only_when_nothing_is_free true.
CREATE FUNCTION free_and_pay_debt(p_account uuid, p_back bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE a account; pay bigint; t bigint;
BEGIN
  SELECT * INTO a FROM account WHERE id = p_account FOR UPDATE;
  pay := least(a.debt_utok, a.posted_utok - (a.reserved_utok - p_back));
  UPDATE account SET reserved_utok = reserved_utok - p_back, posted_utok = posted_utok - pay,
                     debt_utok = debt_utok - pay, version = version + 1 WHERE id = p_account;
  IF pay > 0 THEN
    INSERT INTO journal_tx (kind, account_id, ref) VALUES (5, p_account, 'freed:' || p_account || ':' || a.version) RETURNING id INTO t;
    PERFORM take_lots(t, p_account, pay, 5::smallint);
  END IF;
END $$;

-- Grant min(want, free) if that is at least p_min. Idempotent on p_id. No row means the balance is too small.
CREATE FUNCTION reserve(p_id uuid, p_account uuid, p_kind smallint, p_holder text, p_want bigint, p_min bigint,
                        p_ttl interval, p_hard interval)
RETURNS TABLE (granted bigint) LANGUAGE plpgsql AS $$
DECLARE g bigint;
BEGIN
  SELECT least(p_want, posted_utok - reserved_utok) INTO g
    FROM account WHERE id = p_account AND status = 1 AND debt_utok = 0 FOR UPDATE;
  IF EXISTS (SELECT 1 FROM reservation r WHERE r.id = p_id) THEN
    RETURN QUERY SELECT r.amount_utok FROM reservation r WHERE r.id = p_id AND r.account_id = p_account AND r.state = 0;
    RETURN;
  END IF;
  IF g IS NULL OR g < p_min OR g <= 0 THEN RETURN; END IF;
  INSERT INTO reservation (id, account_id, kind, holder, amount_utok, remaining_utok, expires_at, hard_expires_at)
       VALUES (p_id, p_account, p_kind, p_holder, g, g, now() + p_ttl, now() + p_ttl + p_hard);
  UPDATE account SET reserved_utok = reserved_utok + g, version = version + 1 WHERE id = p_account;
  RETURN QUERY SELECT g;
END $$;

-- Give back all but p_keep, which running or unreported requests still need. Returns what was freed.
CREATE FUNCTION release(p_id uuid, p_state smallint, p_keep bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE acc uuid; back bigint;
BEGIN
  SELECT account_id INTO acc FROM reservation WHERE id = p_id;
  IF acc IS NULL THEN RETURN 0; END IF;
  PERFORM 1 FROM account WHERE id = acc FOR UPDATE;
  UPDATE reservation r SET remaining_utok = least(r.remaining_utok, p_keep),
                           state = CASE WHEN p_keep = 0 THEN p_state ELSE 0 END
    FROM (SELECT id, remaining_utok FROM reservation WHERE id = p_id AND state = 0 FOR UPDATE) before
   WHERE r.id = before.id RETURNING before.remaining_utok - r.remaining_utok INTO back;
  IF coalesce(back, 0) = 0 THEN RETURN 0; END IF;
  PERFORM free_and_pay_debt(acc, back);
  RETURN back;
END $$;

-- Take back what holders that are gone for good left reserved.
CREATE FUNCTION sweep_reservations(p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE r record; n int := 0;
BEGIN
  FOR r IN SELECT id FROM reservation WHERE state = 0 AND hard_expires_at < now() ORDER BY account_id, id LIMIT p_limit LOOP
    PERFORM release(r.id, 3::smallint, 0);
    n := n + 1;
  END LOOP;
  RETURN n;
END $$;

-- One call settles one batch in one transaction. An event that was settled before changes nothing.
CREATE FUNCTION settle_batch(
  p_event uuid[], p_account uuid[], p_key uuid[], p_reservation uuid[], p_requested text[], p_billed text[], p_provider text[],
  p_version int[], p_input bigint[], p_cache_read bigint[], p_cache_write_5m bigint[], p_cache_write_1h bigint[],
  p_output bigint[], p_reasoning bigint[], p_charge bigint[], p_source smallint[], p_outcome smallint[], p_endpoint text[],
  p_stream boolean[], p_first_ms int[], p_total_ms int[], p_at timestamptz[])
RETURNS TABLE (applied int, duplicates int) LANGUAGE plpgsql AS $$
DECLARE b bigint := nextval('settlement_batch');
BEGIN
  CREATE TEMP TABLE IF NOT EXISTS settling (account_id uuid, reservation_id uuid, charge_utok bigint) ON COMMIT DELETE ROWS;
  CREATE TEMP TABLE IF NOT EXISTS settling_account (
    account_id uuid, total bigint, own bigint, taken bigint, excess bigint, pay bigint, tx_id bigint) ON COMMIT DELETE ROWS;
  DELETE FROM settling;                                    -- an earlier call in this transaction left its rows
  DELETE FROM settling_account;

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
    ON CONFLICT DO NOTHING RETURNING account_id, reservation_id, charge_utok)
  INSERT INTO settling SELECT * FROM recorded;

  PERFORM 1 FROM account WHERE id IN (SELECT account_id FROM settling) ORDER BY id FOR UPDATE;
  IF EXISTS (SELECT 1 FROM settling s WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = s.account_id)) THEN
    RAISE EXCEPTION 'a charge names an account that does not exist';
  END IF;

  -- Spend from the account's own reservations that the events name: a hold closes and frees its surplus, a lease shrinks by
  -- what was charged. The account is locked, so that nobody else changes its reservations meanwhile.
  WITH named AS (SELECT account_id, reservation_id, sum(charge_utok)::bigint AS charged
                   FROM settling WHERE reservation_id IS NOT NULL GROUP BY 1, 2),
  before AS (SELECT r.id, r.account_id, r.remaining_utok AS old, r.kind, named.charged
               FROM reservation r JOIN named ON named.reservation_id = r.id AND named.account_id = r.account_id
              WHERE r.state = 0 ORDER BY r.id FOR UPDATE OF r),
  after AS (UPDATE reservation r
               SET remaining_utok = CASE WHEN before.kind = 1 THEN 0 ELSE greatest(0, before.old - before.charged) END,
                   state          = CASE WHEN before.kind = 1 THEN 1 ELSE 0 END
              FROM before WHERE r.id = before.id RETURNING before.account_id, before.old - r.remaining_utok AS freed),
  freed AS (SELECT account_id, sum(freed)::bigint AS freed FROM after GROUP BY 1),
  charged AS (SELECT account_id, sum(charge_utok)::bigint AS total FROM settling GROUP BY 1)
  INSERT INTO settling_account (account_id, total, own)
    SELECT charged.account_id, charged.total, coalesce(freed.freed, 0) FROM charged LEFT JOIN freed USING (account_id);

  -- A charge may use its own reservation and what is free, never another's reservation; the rest becomes debt.
  UPDATE settling_account s
     SET taken  = least(s.total, a.posted_utok - a.reserved_utok + s.own),
         excess = greatest(0, s.total - (a.posted_utok - a.reserved_utok + s.own)),
         pay    = least(a.debt_utok, greatest(0, a.posted_utok - a.reserved_utok + s.own - s.total))
    FROM account a WHERE a.id = s.account_id;
  UPDATE account a
     SET posted_utok = a.posted_utok - s.taken - s.pay, reserved_utok = a.reserved_utok - s.own,
         debt_utok = a.debt_utok + s.excess - s.pay, spent_utok = a.spent_utok + s.total, version = a.version + 1
    FROM settling_account s WHERE a.id = s.account_id;

  WITH posted AS (
    INSERT INTO journal_tx (kind, account_id, ref)
      SELECT 2, account_id, b || ':' || account_id FROM settling_account WHERE total + coalesce(pay, 0) > 0 RETURNING id, account_id)
  UPDATE settling_account s SET tx_id = posted.id FROM posted WHERE posted.account_id = s.account_id;

  WITH open_lot AS (
    SELECT l.order_id, l.account_id, s.tx_id, s.taken + s.pay AS need, l.granted_utok - l.consumed_utok - l.refunded_utok AS rest,
           sum(l.granted_utok - l.consumed_utok - l.refunded_utok) OVER (PARTITION BY l.account_id ORDER BY l.order_id) AS upto
      FROM lot l JOIN settling_account s ON s.account_id = l.account_id WHERE l.is_open AND s.taken + s.pay > 0),
  share AS (SELECT order_id, tx_id, least(rest, need - (upto - rest))::bigint AS take FROM open_lot WHERE upto - rest < need),
  moved AS (
    UPDATE lot SET consumed_utok = consumed_utok + share.take,
                   is_open = (consumed_utok + share.take + refunded_utok < granted_utok)
      FROM share WHERE lot.order_id = share.order_id RETURNING share.tx_id, lot.order_id, share.take)
  INSERT INTO journal_entry (tx_id, line, acct, order_id, amount_utok)
    SELECT tx_id, (row_number() OVER (PARTITION BY tx_id))::smallint, 2, order_id, take FROM moved
    UNION ALL SELECT tx_id, 0, 3, NULL, -total FROM settling_account WHERE total > 0
    UNION ALL SELECT tx_id, -1, 5, NULL, excess - pay FROM settling_account WHERE excess <> pay;

  RETURN QUERY SELECT (SELECT count(*)::int FROM settling), cardinality(p_event) - (SELECT count(*)::int FROM settling);
END $$;

-- A verified payment. False means it had been noted before; a payment that differs from its order raises.
CREATE FUNCTION mark_paid(p_order bigint, p_provider text, p_ref text, p_minor bigint, p_currency char(3)) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE o purchase_order; a account; t bigint; pay bigint;
BEGIN
  SELECT * INTO o FROM purchase_order WHERE id = p_order FOR UPDATE;
  IF o.id IS NULL THEN RAISE EXCEPTION 'no such order'; END IF;
  IF o.provider <> p_provider OR o.price_minor <> p_minor OR o.currency <> p_currency THEN
    RAISE EXCEPTION 'the payment does not match its order';
  END IF;
  IF o.status <> 0 THEN RETURN false; END IF;
  UPDATE purchase_order SET status = 1, provider_ref = p_ref, paid_at = now() WHERE id = p_order;
  SELECT * INTO a FROM account WHERE id = o.account_id FOR UPDATE;
  INSERT INTO lot (order_id, account_id, granted_utok) VALUES (o.id, o.account_id, o.grant_utok);
  INSERT INTO journal_tx (kind, account_id, ref) VALUES (1, o.account_id, o.id::text) RETURNING id INTO t;
  INSERT INTO journal_entry VALUES (t, 0, 1, o.id, o.grant_utok), (t, 1, 2, o.id, -o.grant_utok);
  pay := least(a.debt_utok, o.grant_utok);
  UPDATE account SET posted_utok = posted_utok + o.grant_utok - pay, debt_utok = debt_utok - pay, version = version + 1
   WHERE id = o.account_id;
  IF pay > 0 THEN
    INSERT INTO journal_tx (kind, account_id, ref) VALUES (5, o.account_id, 'order:' || o.id) RETURNING id INTO t;
    PERFORM take_lots(t, o.account_id, pay, 5::smallint);
  END IF;
  RETURN true;
END $$;

-- Refund, first phase: unused tokens of this order leave the wallet. Money is the difference of two floors of the
-- cumulative share, so parts never exceed the price and a full refund returns it exactly.
CREATE FUNCTION refund_begin(p_id uuid, p_order bigint, p_want bigint) RETURNS TABLE (utok bigint, money_minor bigint) LANGUAGE plpgsql AS $$
DECLARE o purchase_order; l lot; a account; x bigint; m bigint; t bigint;
BEGIN
  SELECT * INTO o FROM purchase_order WHERE id = p_order FOR UPDATE;
  IF EXISTS (SELECT 1 FROM refund r WHERE r.id = p_id) THEN
    RETURN QUERY SELECT r.utok, r.money_minor FROM refund r WHERE r.id = p_id AND r.order_id = p_order;
    RETURN;
  END IF;
  IF o.id IS NULL OR o.status NOT IN (1, 2) THEN RETURN; END IF;
  SELECT * INTO a FROM account WHERE id = o.account_id FOR UPDATE;
  SELECT * INTO l FROM lot WHERE order_id = p_order FOR UPDATE;
  x := least(p_want, l.granted_utok - l.consumed_utok - l.refunded_utok, a.posted_utok - a.reserved_utok);
  IF x <= 0 THEN RETURN; END IF;
  m := floor(o.price_minor::numeric * (l.refunded_utok + x) / l.granted_utok)
     - floor(o.price_minor::numeric *  l.refunded_utok      / l.granted_utok);
  UPDATE lot SET refunded_utok = refunded_utok + x, is_open = (consumed_utok + refunded_utok + x < granted_utok) WHERE order_id = p_order;
  UPDATE account SET posted_utok = posted_utok - x, version = version + 1 WHERE id = o.account_id;
  INSERT INTO refund (id, order_id, utok, money_minor) VALUES (p_id, p_order, x, m);
  INSERT INTO journal_tx (kind, account_id, ref) VALUES (3, o.account_id, p_id::text) RETURNING id INTO t;
  INSERT INTO journal_entry VALUES (t, 0, 2, p_order, x), (t, 1, 4, p_order, -x);
  UPDATE purchase_order SET status = CASE WHEN l.refunded_utok + x = l.granted_utok THEN 3 ELSE 2 END WHERE id = p_order;
  RETURN QUERY SELECT x, m;
END $$;

CREATE FUNCTION refund_succeed(p_id uuid) RETURNS boolean LANGUAGE sql AS $$
  WITH done AS (UPDATE refund SET state = 1 WHERE id = p_id AND state = 0 RETURNING 1) SELECT EXISTS (SELECT 1 FROM done);
$$;

-- Refund, second phase when the provider refused: the tokens return to the lot they came from.
CREATE FUNCTION refund_fail(p_id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE r refund; l lot; acc uuid; t bigint; pay bigint; a account;
BEGIN
  SELECT p.account_id INTO acc FROM refund f JOIN purchase_order p ON p.id = f.order_id WHERE f.id = p_id FOR UPDATE OF p;
  SELECT * INTO a FROM account WHERE id = acc FOR UPDATE;
  UPDATE refund SET state = 2 WHERE id = p_id AND state = 0 RETURNING * INTO r;
  IF r.id IS NULL THEN RETURN false; END IF;
  UPDATE lot SET refunded_utok = refunded_utok - r.utok, is_open = true WHERE order_id = r.order_id RETURNING * INTO l;
  UPDATE purchase_order SET status = CASE WHEN l.refunded_utok = 0 THEN 1 ELSE 2 END WHERE id = r.order_id;
  INSERT INTO journal_tx (kind, account_id, ref) VALUES (6, acc, p_id::text) RETURNING id INTO t;
  INSERT INTO journal_entry VALUES (t, 0, 4, r.order_id, r.utok), (t, 1, 2, r.order_id, -r.utok);
  pay := least(a.debt_utok, r.utok);
  UPDATE account SET posted_utok = posted_utok + r.utok - pay, debt_utok = debt_utok - pay, version = version + 1 WHERE id = acc;
  IF pay > 0 THEN
    INSERT INTO journal_tx (kind, account_id, ref) VALUES (5, acc, 'refund:' || p_id) RETURNING id INTO t;
    PERFORM take_lots(t, acc, pay, 5::smallint);
  END IF;
  RETURN true;
END $$;

-- ------------------------------------------------------------------------------------------------ invariants
-- Every row of this view is a fault; it must be empty after every test and is watched in production.
CREATE VIEW ledger_violation AS
  SELECT 'a journal transaction is not zero' AS what, tx_id::text AS id FROM journal_entry GROUP BY tx_id HAVING sum(amount_utok) <> 0
  UNION ALL SELECT 'posted is not the sum of the lots', a.id::text FROM account a
    WHERE a.posted_utok <> coalesce((SELECT sum(granted_utok - consumed_utok - refunded_utok) FROM lot WHERE account_id = a.id), 0)
  UNION ALL SELECT 'reserved is not the sum of the open reservations', a.id::text FROM account a
    WHERE a.reserved_utok <> coalesce((SELECT sum(remaining_utok) FROM reservation WHERE account_id = a.id AND state = 0), 0)
  UNION ALL SELECT 'spent is not the sum of the charges', a.id::text FROM account a
    WHERE a.spent_utok <> coalesce((SELECT sum(charge_utok) FROM usage_event WHERE account_id = a.id), 0)
  UNION ALL SELECT 'spent is not consumed plus debt', a.id::text FROM account a
    WHERE a.spent_utok <> coalesce((SELECT sum(consumed_utok) FROM lot WHERE account_id = a.id), 0) + a.debt_utok
  UNION ALL SELECT 'a lot is not what the journal says', l.order_id::text FROM lot l
    WHERE l.granted_utok - l.consumed_utok - l.refunded_utok
          <> -(SELECT coalesce(sum(amount_utok), 0) FROM journal_entry e WHERE e.order_id = l.order_id AND e.acct = 2)
  UNION ALL SELECT 'refunds exceed the price', o.id::text FROM purchase_order o
    WHERE o.price_minor < (SELECT coalesce(sum(money_minor), 0) FROM refund r WHERE r.order_id = o.id AND r.state < 2)
  UNION ALL SELECT 'a later lot was used before an earlier one', n.order_id::text FROM lot n
    JOIN lot p ON p.account_id = n.account_id AND p.order_id < n.order_id
    WHERE n.consumed_utok > 0 AND p.is_open AND NOT EXISTS (SELECT 1 FROM refund r WHERE r.order_id = p.order_id)
      AND (SELECT max(t.id) FROM journal_entry e JOIN journal_tx t ON t.id = e.tx_id AND t.kind IN (2, 5)
            WHERE e.order_id = n.order_id AND e.acct = 2)
          > (SELECT min(tx_id) FROM journal_entry e WHERE e.order_id = p.order_id AND e.acct = 2)  -- used since p was paid
  UNION ALL SELECT 'a charge has no account', e.event_id::text FROM usage_event e
    WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = e.account_id)
  UNION ALL SELECT 'a charge is not what its price says', e.event_id::text FROM usage_event e
    LEFT JOIN rate_card c ON c.model = e.billed_model AND c.version = e.price_version
    WHERE e.charge_utok IS DISTINCT FROM
          (e.input_tok * c.input + e.cache_read_tok * c.cache_read + e.cache_write_5m_tok * c.cache_write_5m
           + e.cache_write_1h_tok * c.cache_write_1h + e.output_tok * c.output + e.reasoning_tok * c.reasoning);
