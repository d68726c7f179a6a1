-- Customers' own keys at providers. Sealed like the operator's; the owner is a part of what a ciphertext is bound to.
CREATE TABLE own_key (
  id         uuid     PRIMARY KEY,
  account_id uuid     NOT NULL,
  provider   text     NOT NULL REFERENCES provider ON DELETE CASCADE,
  name       text     NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  sealed     bytea    NOT NULL,                            -- never readable through any API
  hint       text     NOT NULL,
  priority   int      NOT NULL CHECK (priority BETWEEN 1 AND 100),
  on_failure text     NOT NULL CHECK (on_failure IN ('go_on', 'stop')),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX own_key_account ON own_key (account_id, priority);
