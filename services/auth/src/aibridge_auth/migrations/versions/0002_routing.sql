-- What may happen to an account's requests; the defaults are those of an account that never said anything.
ALTER TABLE app_user
  ADD COLUMN failover       boolean NOT NULL DEFAULT true,
  ADD COLUMN continuation   boolean NOT NULL DEFAULT false,
  ADD COLUMN larger_context boolean NOT NULL DEFAULT false;

-- The same for one key; null follows the account.
ALTER TABLE api_key
  ADD COLUMN failover       boolean,
  ADD COLUMN continuation   boolean,
  ADD COLUMN larger_context boolean;

COMMENT ON TABLE revocation IS 'numbers what changed about keys: they were revoked, or their options are others';
