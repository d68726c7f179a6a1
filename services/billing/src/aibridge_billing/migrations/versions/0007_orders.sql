-- What surrounds the ledger: what is for sale, who pays how, what goes back, and who changed what.

ALTER TABLE product
  ADD COLUMN title_zh   text   NOT NULL DEFAULT '',
  ADD COLUMN bonus_utok bigint NOT NULL DEFAULT 0 CHECK (bonus_utok >= 0),
  ADD CONSTRAINT bonus_is_a_part CHECK (bonus_utok < grant_utok);
INSERT INTO product (id, title, grant_utok, price_minor, currency, active)          -- lots that nobody bought hang on it
  VALUES ('adjustment', 'Adjustment', 1, 0, 'XXX', false) ON CONFLICT DO NOTHING;

ALTER TABLE purchase_order
  ADD COLUMN checkout_ref text,                            -- what the provider calls the attempt to pay
  ADD COLUMN pay_url      text,
  ADD COLUMN failed_at    timestamptz,
  ADD CONSTRAINT one_order_a_checkout UNIQUE (provider, checkout_ref);
CREATE INDEX purchase_order_account ON purchase_order (account_id, id DESC);
CREATE INDEX purchase_order_unpaid  ON purchase_order (created_at) WHERE status = 0;

CREATE TABLE payment_notice (                              -- the inbox: a provider's event has its effect once
  provider text NOT NULL,
  event_id text NOT NULL,
  kind     text NOT NULL,
  outcome  text NOT NULL,
  at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (provider, event_id)
);
CREATE TABLE payment_alert (                               -- what does not fit an order waits here for a person
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  provider  text NOT NULL,
  reference text NOT NULL,
  order_no  text,
  reason    text NOT NULL,
  at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sandbox_payment (                             -- what the sandbox, as a provider, knows of its own
  id           text    PRIMARY KEY,
  token_digest bytea   NOT NULL UNIQUE CHECK (length(token_digest) = 32),
  order_no     text    NOT NULL,
  amount_minor bigint  NOT NULL CHECK (amount_minor >= 0),
  currency     char(3) NOT NULL,
  state        text    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paid', 'declined')),
  created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE sandbox_refund (
  id           uuid   PRIMARY KEY,                         -- the refund's own id: the same again is one
  payment_id   text   NOT NULL REFERENCES sandbox_payment,
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0)
);

ALTER TABLE refund
  ADD COLUMN reason       text NOT NULL DEFAULT '',
  ADD COLUMN provider_ref text,
  ADD COLUMN tried_at     timestamptz,
  ADD COLUMN ended_at     timestamptz;
CREATE INDEX refund_order   ON refund (order_id);
CREATE INDEX refund_pending ON refund (tried_at NULLS FIRST) WHERE state = 0;

CREATE TABLE chargeback (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id   bigint NOT NULL UNIQUE REFERENCES purchase_order,
  account_id uuid   NOT NULL REFERENCES account,
  ref        text   NOT NULL,                              -- what the provider calls the dispute
  taken_utok bigint NOT NULL CHECK (taken_utok >= 0),      -- of the lot, unused
  owed_utok  bigint NOT NULL CHECK (owed_utok >= 0),       -- used or held: now owed
  at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX chargeback_account ON chargeback (account_id);

CREATE TABLE adjustment (
  id          uuid     PRIMARY KEY,
  account_id  uuid     NOT NULL REFERENCES account,
  utok        bigint   NOT NULL CHECK (utok <> 0 AND abs(utok) <= 1000000000000000000),
  reason      text     NOT NULL CHECK (length(reason) BETWEEN 1 AND 1000),
  state       smallint NOT NULL CHECK (state IN (0, 1, 2)),                  -- waits for a second person, done, rejected
  actor       uuid     NOT NULL,
  second      uuid,
  order_no    text,                                        -- the lot that a positive one made
  created_at  timestamptz NOT NULL DEFAULT now(),
  decided_at  timestamptz,
  CONSTRAINT two_people CHECK (second IS NULL OR second <> actor)
);
CREATE INDEX adjustment_account ON adjustment (account_id, created_at DESC);

CREATE TABLE admin_audit (                                 -- as every service has it; rows are only ever added
  id       uuid  PRIMARY KEY,                              -- in the order of time
  at       timestamptz NOT NULL DEFAULT now(),
  caller   text  NOT NULL,
  action   text  NOT NULL,
  subject  text  NOT NULL,
  document jsonb NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON admin_audit FOR EACH ROW EXECUTE FUNCTION append_only();

CREATE TABLE idempotent_call (
  caller      text        NOT NULL,
  key         bytea       NOT NULL,
  operation   text        NOT NULL,
  fingerprint bytea       NOT NULL,
  answer      bytea,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (caller, key)
);
CREATE INDEX idempotent_call_age ON idempotent_call (created_at);

-- ------------------------------------------------------------------------------------------------ operations

-- posted += p_utok, where there is debt it is paid first: in one step, since debt beside free tokens is never allowed.
CREATE FUNCTION add_and_pay_debt(p_account uuid, p_utok bigint, p_ref text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE pay bigint; t bigint;
BEGIN
  SELECT least(debt_utok, p_utok) INTO pay FROM account WHERE id = p_account FOR UPDATE;
  UPDATE account SET posted_utok = posted_utok + p_utok - pay, debt_utok = debt_utok - pay, version = version + 1 WHERE id = p_account;
  IF pay > 0 THEN
    INSERT INTO journal_tx (kind, account_id, ref) VALUES (5, p_account, p_ref) RETURNING id INTO t;
    PERFORM take_lots(t, p_account, pay, 5::smallint);
  END IF;
END $$;

-- A verified payment. False means it had been noted before; a payment that differs from its order raises. One that comes
-- after its order was given up is credited all the same: the money is there.
CREATE OR REPLACE FUNCTION mark_paid(p_order bigint, p_provider text, p_ref text, p_minor bigint, p_currency char(3))
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE o purchase_order; t bigint;
BEGIN
  SELECT * INTO o FROM purchase_order WHERE id = p_order FOR UPDATE;
  IF o.id IS NULL THEN RAISE EXCEPTION 'no such order'; END IF;
  IF o.provider <> p_provider OR o.price_minor <> p_minor OR o.currency <> p_currency THEN
    RAISE EXCEPTION 'the payment does not match its order';
  END IF;
  IF o.status NOT IN (0, 4) THEN RETURN false; END IF;
  UPDATE purchase_order SET status = 1, provider_ref = p_ref, paid_at = now(), failed_at = NULL WHERE id = p_order;
  PERFORM 1 FROM account WHERE id = o.account_id FOR UPDATE;
  INSERT INTO lot (order_id, account_id, granted_utok) VALUES (o.id, o.account_id, o.grant_utok);
  INSERT INTO journal_tx (kind, account_id, ref) VALUES (1, o.account_id, o.id::text) RETURNING id INTO t;
  INSERT INTO journal_entry VALUES (t, 0, 1, o.id, o.grant_utok), (t, 1, 2, o.id, -o.grant_utok);
  PERFORM add_and_pay_debt(o.account_id, o.grant_utok, 'order:' || o.id);
  RETURN true;
END $$;

-- As before, but what was charged back meanwhile does not come back to its customer: it leaves with the payment.
CREATE OR REPLACE FUNCTION refund_fail(p_id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE r refund; l lot; o purchase_order; t bigint;
BEGIN
  SELECT p.* INTO o FROM refund f JOIN purchase_order p ON p.id = f.order_id WHERE f.id = p_id FOR UPDATE OF p;
  PERFORM 1 FROM account WHERE id = o.account_id FOR UPDATE;
  UPDATE refund SET state = 2, ended_at = now() WHERE id = p_id AND state = 0 RETURNING * INTO r;
  IF r.id IS NULL THEN RETURN false; END IF;
  INSERT INTO journal_tx (kind, account_id, ref) VALUES (6, o.account_id, p_id::text) RETURNING id INTO t;
  IF o.status = 5 THEN
    INSERT INTO journal_entry VALUES (t, 0, 4, r.order_id, r.utok), (t, 1, 1, r.order_id, -r.utok);
    RETURN true;
  END IF;
  UPDATE lot SET refunded_utok = refunded_utok - r.utok, is_open = true WHERE order_id = r.order_id RETURNING * INTO l;
  UPDATE purchase_order SET status = CASE WHEN l.refunded_utok = 0 THEN 1 ELSE 2 END WHERE id = r.order_id;
  INSERT INTO journal_entry VALUES (t, 0, 4, r.order_id, r.utok), (t, 1, 2, r.order_id, -r.utok);
  PERFORM add_and_pay_debt(o.account_id, r.utok, 'refund:' || p_id);
  RETURN true;
END $$;

CREATE OR REPLACE FUNCTION refund_succeed(p_id uuid) RETURNS boolean LANGUAGE sql AS $$
  WITH done AS (UPDATE refund SET state = 1, ended_at = now() WHERE id = p_id AND state = 0 RETURNING 1)
  SELECT EXISTS (SELECT 1 FROM done);
$$;

-- The payment was taken back. What is unused of the lot and free goes; what was used, or is held now, is owed: it is paid
-- from what else is free, and becomes debt beyond that. The account gets no new reservations. False: it was done before.
CREATE FUNCTION charge_back(p_order bigint, p_ref text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE o purchase_order; a account; l lot; x bigint; owed bigint; pay bigint; t bigint;
BEGIN
  SELECT * INTO o FROM purchase_order WHERE id = p_order FOR UPDATE;
  IF o.id IS NULL OR o.status NOT IN (1, 2, 3) THEN RETURN false; END IF;
  SELECT * INTO a FROM account WHERE id = o.account_id FOR UPDATE;
  SELECT * INTO l FROM lot WHERE order_id = p_order FOR UPDATE;
  x := least(l.granted_utok - l.consumed_utok - l.refunded_utok, a.posted_utok - a.reserved_utok);
  owed := l.granted_utok - l.refunded_utok - x;
  UPDATE purchase_order SET status = 5 WHERE id = p_order;
  UPDATE lot SET refunded_utok = refunded_utok + x, is_open = (consumed_utok + refunded_utok + x < granted_utok)
   WHERE order_id = p_order;
  INSERT INTO chargeback (order_id, account_id, ref, taken_utok, owed_utok) VALUES (p_order, a.id, p_ref, x, owed);
  INSERT INTO journal_tx (kind, account_id, ref) VALUES (7, a.id, p_order::text) RETURNING id INTO t;
  INSERT INTO journal_entry
    SELECT t, line, acct, p_order, amount
      FROM (VALUES (0::smallint, 1::smallint, -(x + owed)), (1, 2, x), (2, 5, owed)) AS e (line, acct, amount) WHERE amount <> 0;
  pay := least(owed, a.posted_utok - x - a.reserved_utok);
  UPDATE account SET posted_utok = posted_utok - x - pay, debt_utok = debt_utok + owed - pay, version = version + 1,
                     status = CASE WHEN status = 1 THEN 2 ELSE status END WHERE id = a.id;
  IF pay > 0 THEN
    INSERT INTO journal_tx (kind, account_id, ref) VALUES (5, a.id, 'chargeback:' || p_order) RETURNING id INTO t;
    PERFORM take_lots(t, a.id, pay, 5::smallint);
  END IF;
  RETURN true;
END $$;

-- Do an adjustment that waits. Tokens that are given are a lot of their own; tokens that are taken must be free. NULL: it does
-- not wait any more; false: not so much is free.
CREATE FUNCTION adjust(p_id uuid, p_order_no text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE j adjustment; a account; o bigint; t bigint;
BEGIN
  SELECT * INTO j FROM adjustment WHERE id = p_id;
  SELECT * INTO a FROM account WHERE id = j.account_id FOR UPDATE;
  SELECT * INTO j FROM adjustment WHERE id = p_id AND state = 0 FOR UPDATE;
  IF j.id IS NULL THEN RETURN NULL; END IF;
  IF j.utok < 0 AND a.posted_utok - a.reserved_utok < -j.utok THEN RETURN false; END IF;
  INSERT INTO journal_tx (kind, account_id, ref) VALUES (4, a.id, p_id::text) RETURNING id INTO t;
  IF j.utok < 0 THEN
    PERFORM take_lots(t, a.id, -j.utok, 6::smallint);
    UPDATE account SET posted_utok = posted_utok + j.utok, version = version + 1 WHERE id = a.id;
  ELSE
    INSERT INTO purchase_order (public_no, account_id, product_id, status, price_minor, currency, grant_utok, provider, paid_at)
      VALUES (p_order_no, a.id, 'adjustment', 1, 0, 'XXX', j.utok, 'adjustment', now()) RETURNING id INTO o;
    INSERT INTO lot (order_id, account_id, granted_utok) VALUES (o, a.id, j.utok);
    INSERT INTO journal_entry VALUES (t, 0, 6, o, j.utok), (t, 1, 2, o, -j.utok);
    PERFORM add_and_pay_debt(a.id, j.utok, 'adjustment:' || p_id);
  END IF;
  UPDATE adjustment SET state = 1, decided_at = now(), order_no = CASE WHEN j.utok > 0 THEN p_order_no END WHERE id = p_id;
  RETURN true;
END $$;

-- ------------------------------------------------------------------------------------------------ invariants
CREATE OR REPLACE VIEW ledger_violation AS
  SELECT 'a journal transaction is not zero' AS what, tx_id::text AS id FROM journal_entry GROUP BY tx_id HAVING sum(amount_utok) <> 0
  UNION ALL SELECT 'posted is not the sum of the lots', a.id::text FROM account a
    WHERE a.posted_utok <> coalesce((SELECT sum(granted_utok - consumed_utok - refunded_utok) FROM lot WHERE account_id = a.id), 0)
  UNION ALL SELECT 'reserved is not the sum of the open reservations', a.id::text FROM account a
    WHERE a.reserved_utok <> coalesce((SELECT sum(remaining_utok) FROM reservation WHERE account_id = a.id AND state = 0), 0)
  UNION ALL SELECT 'spent is not the sum of the charges', a.id::text FROM account a
    WHERE a.spent_utok <> coalesce((SELECT sum(charge_utok) FROM usage_event WHERE account_id = a.id), 0)
  UNION ALL SELECT 'spent, owed for charge-backs and taken by adjustments is not consumed plus debt', a.id::text FROM account a
    WHERE a.spent_utok + coalesce((SELECT sum(owed_utok) FROM chargeback WHERE account_id = a.id), 0)
          + coalesce((SELECT sum(-utok) FROM adjustment WHERE account_id = a.id AND state = 1 AND utok < 0), 0)
          <> coalesce((SELECT sum(consumed_utok) FROM lot WHERE account_id = a.id), 0) + a.debt_utok
  UNION ALL SELECT 'a lot is not what the journal says', l.order_id::text FROM lot l
    WHERE l.granted_utok - l.consumed_utok - l.refunded_utok
          <> -(SELECT coalesce(sum(amount_utok), 0) FROM journal_entry e WHERE e.order_id = l.order_id AND e.acct = 2)
  UNION ALL SELECT 'refunds exceed the price', o.id::text FROM purchase_order o
    WHERE o.price_minor < (SELECT coalesce(sum(money_minor), 0) FROM refund r WHERE r.order_id = o.id AND r.state < 2)
  UNION ALL SELECT 'more of a lot went back than its refunds and its charge-back say', l.order_id::text FROM lot l
    JOIN purchase_order o ON o.id = l.order_id
    WHERE l.refunded_utok <> coalesce((SELECT sum(utok) FROM refund r WHERE r.order_id = l.order_id
                                         AND (r.state < 2 OR (o.status = 5 AND r.ended_at >= (SELECT at FROM chargeback c WHERE c.order_id = l.order_id)))), 0)
                          + coalesce((SELECT taken_utok FROM chargeback c WHERE c.order_id = l.order_id), 0)
  UNION ALL SELECT 'an order that was not paid has a lot', o.id::text FROM purchase_order o JOIN lot l ON l.order_id = o.id
    WHERE o.status IN (0, 4)
  UNION ALL SELECT 'a later lot was used before an earlier one', n.order_id::text FROM lot n
    JOIN lot p ON p.account_id = n.account_id AND p.order_id < n.order_id
    WHERE n.consumed_utok > 0 AND p.is_open AND NOT EXISTS (SELECT 1 FROM refund r WHERE r.order_id = p.order_id)
      AND (SELECT max(t.id) FROM journal_entry e JOIN journal_tx t ON t.id = e.tx_id AND t.kind IN (2, 4, 5)
            WHERE e.order_id = n.order_id AND e.acct = 2 AND e.amount_utok > 0)
          > (SELECT min(tx_id) FROM journal_entry e WHERE e.order_id = p.order_id AND e.acct = 2)  -- used since p was paid
  UNION ALL SELECT 'a charge has no account', e.event_id::text FROM usage_event e
    WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = e.account_id)
  UNION ALL SELECT 'a charge is not what its price says', e.event_id::text FROM usage_event e
    LEFT JOIN rate_card c ON c.model = e.billed_model AND c.version = e.price_version
    WHERE e.charge_utok IS DISTINCT FROM
          (e.input_tok * c.input + e.cache_read_tok * c.cache_read + e.cache_write_5m_tok * c.cache_write_5m
           + e.cache_write_1h_tok * c.cache_write_1h + e.output_tok * c.output + e.reasoning_tok * c.reasoning);
