-- People: who proved which address, how they log in, and who changed what about them.
ALTER TABLE app_user
  ADD COLUMN language          text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'zh')),
  ADD COLUMN email_verified_at timestamptz,
  ADD COLUMN totp              bytea,                      -- sealed; counts once it was confirmed
  ADD COLUMN totp_confirmed_at timestamptz,
  ADD COLUMN totp_used_step    bigint NOT NULL DEFAULT 0;  -- a code of this step or before is used up
UPDATE app_user SET email_verified_at = created_at;        -- until now an operator added everybody

CREATE TABLE login_session (
  id            uuid  PRIMARY KEY,
  user_id       uuid  NOT NULL REFERENCES app_user,
  digest        bytea NOT NULL UNIQUE CHECK (length(digest) = 32),  -- SHA-256 of 256 random bits; the token is not stored
  created_at    timestamptz NOT NULL DEFAULT now(),
  seen_at       timestamptz NOT NULL DEFAULT now(),
  proven_at     timestamptz NOT NULL DEFAULT now(),        -- when the password, or a second factor, was last shown
  second_factor boolean NOT NULL
);
CREATE INDEX login_session_user ON login_session (user_id);

CREATE TABLE mail_token (                                  -- what a link in a mail is worth, once
  digest     bytea PRIMARY KEY CHECK (length(digest) = 32),
  user_id    uuid NOT NULL REFERENCES app_user,
  purpose    text NOT NULL CHECK (purpose IN ('verify', 'reset')),
  email      text NOT NULL,                                -- void when the user's address is another meanwhile
  password_hash text,                                      -- of who signed up: it counts when their own link is opened
  expires_at timestamptz NOT NULL
);
CREATE INDEX mail_token_user ON mail_token (user_id);

CREATE TABLE recovery_code (
  user_id uuid  NOT NULL REFERENCES app_user,
  digest  bytea NOT NULL CHECK (length(digest) = 32),
  PRIMARY KEY (user_id, digest)
);

CREATE TABLE mail (                                        -- waits to be sent, and is deleted then: it holds live links
  id          uuid PRIMARY KEY,
  recipient   text NOT NULL,
  subject     text NOT NULL,
  body        text NOT NULL,
  tries       int  NOT NULL DEFAULT 0,
  next_try_at timestamptz NOT NULL DEFAULT now(),
  expires_at  timestamptz NOT NULL
);
CREATE INDEX mail_due ON mail (next_try_at);

CREATE TABLE throttle (                                    -- tries by whom (hashed) within a window
  policy  text   NOT NULL,
  subject bytea  NOT NULL CHECK (length(subject) = 32),
  "window" bigint NOT NULL,
  taken   int    NOT NULL,
  PRIMARY KEY (policy, subject, "window")
);

CREATE TABLE admin_audit (
  id       uuid  PRIMARY KEY,
  at       timestamptz NOT NULL DEFAULT now(),
  caller   text  NOT NULL,
  action   text  NOT NULL,
  subject  text  NOT NULL,
  document jsonb NOT NULL
);
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
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
