-- Creating calls that were answered, as aibridge_common.db.idempotency wants it.
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
