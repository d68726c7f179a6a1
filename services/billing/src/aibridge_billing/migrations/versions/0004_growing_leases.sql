-- A stream is held in slices: it begins with a small hold, and the reservation that pays for it grows while it runs.

-- Let an open reservation grow to `p_total`, or as far as the free balance allows if that is at least `p_least`. Returns what
-- it was granted altogether; NULL when it may not grow. The total is absolute, so that asking again changes nothing.
CREATE FUNCTION extend_reservation(p_id uuid, p_account uuid, p_total bigint, p_least bigint, p_ttl interval, p_hard interval)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE free bigint; had bigint; more bigint;
BEGIN
  SELECT posted_utok - reserved_utok INTO free
    FROM account WHERE id = p_account AND status = 1 AND debt_utok = 0 FOR UPDATE;
  SELECT amount_utok INTO had FROM reservation WHERE id = p_id AND account_id = p_account AND state = 0 FOR UPDATE;
  IF free IS NULL OR had IS NULL THEN RETURN NULL; END IF;
  more := greatest(0, least(p_total - had, free));
  IF had + more < p_least THEN RETURN NULL; END IF;
  UPDATE reservation SET amount_utok = amount_utok + more, remaining_utok = remaining_utok + more,
                         expires_at = greatest(expires_at, now() + p_ttl),
                         hard_expires_at = greatest(hard_expires_at, now() + p_ttl + p_hard) WHERE id = p_id;
  UPDATE account SET reserved_utok = reserved_utok + more, version = version + 1 WHERE id = p_account;
  RETURN had + more;
END $$;

-- Give back all but `p_keep` of the first `p_granted`: what it grew by since is kept as well, since a message that says how
-- much is needed may arrive behind one that asked for more.
CREATE FUNCTION release(p_id uuid, p_state smallint, p_keep bigint, p_granted bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE later bigint;
BEGIN
  PERFORM 1 FROM account WHERE id = (SELECT account_id FROM reservation WHERE id = p_id) FOR UPDATE;
  SELECT greatest(0, amount_utok - p_granted) INTO later FROM reservation WHERE id = p_id;
  RETURN release(p_id, p_state, p_keep + coalesce(later, 0));
END $$;

-- As before, with one more way to end: what a stream could hold was used up.
CREATE OR REPLACE FUNCTION receipt_document(
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
    '","outcome":"', coalesce((ARRAY['completed', 'client_gone', 'upstream_cut', 'upstream_error', 'recovered', 'hold_spent'])[outcome], outcome::text),
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

-- Debt is watched: a scrape must not read every account.
CREATE INDEX account_in_debt ON account (id) WHERE debt_utok > 0;
CREATE INDEX usage_dead_letter_unresolved ON usage_dead_letter (id) WHERE resolved_at IS NULL;
