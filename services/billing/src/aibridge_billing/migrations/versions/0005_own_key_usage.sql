-- What customers used with their own keys: counted, never charged. The event id is the dedupe, as for charges.
CREATE TABLE own_key_usage (
  event_id    uuid     PRIMARY KEY,
  account_id  uuid     NOT NULL,
  key_id      uuid,
  model       text     NOT NULL,
  provider    text     NOT NULL,
  input_tok   bigint   NOT NULL CHECK (input_tok  >= 0),
  cached_tok  bigint   NOT NULL CHECK (cached_tok >= 0),
  output_tok  bigint   NOT NULL CHECK (output_tok >= 0),
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX own_key_usage_account ON own_key_usage (account_id, occurred_at);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON own_key_usage FOR EACH ROW EXECUTE FUNCTION append_only();
