-- What a key is limited to; null is nothing. The shape is the API's (KeyLimits), read as a whole with the key.
ALTER TABLE api_key
  ADD COLUMN limits      jsonb,
  ADD COLUMN replaced_by uuid UNIQUE REFERENCES api_key (id),
  ADD CONSTRAINT api_key_limits_object CHECK (jsonb_typeof(limits) = 'object'),
  ADD CONSTRAINT api_key_not_replaced_by_itself CHECK (replaced_by <> id);

COMMENT ON COLUMN api_key.replaced_by IS 'the key made by its rotation; it keeps working until limits.expires_at';
