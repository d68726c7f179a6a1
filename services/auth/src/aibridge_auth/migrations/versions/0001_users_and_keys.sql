CREATE TABLE app_user (
  id            uuid PRIMARY KEY,
  account_id    uuid NOT NULL UNIQUE,                      -- the owner's wallet in billing
  email         text NOT NULL CHECK (email = lower(email) AND position('@' IN email) > 1),
  password_hash text NOT NULL,
  role          text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'support', 'admin')),
  state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'closed')),
  created_at    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (email)
);

CREATE TABLE api_key (
  id           uuid  PRIMARY KEY,
  account_id   uuid  NOT NULL REFERENCES app_user (account_id),
  name         text  NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  digest       bytea NOT NULL UNIQUE CHECK (length(digest) = 32),  -- HMAC-SHA256 of the whole key; the key is not stored
  hint         text  NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  revoked_at   timestamptz
);
CREATE INDEX api_key_account ON api_key (account_id, id DESC);

-- Numbers the revocations, so that a gateway that missed one notices it at the next heartbeat.
CREATE TABLE revocation (
  sequence   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id uuid NOT NULL,
  key_id     uuid,
  at         timestamptz NOT NULL DEFAULT now()
);
