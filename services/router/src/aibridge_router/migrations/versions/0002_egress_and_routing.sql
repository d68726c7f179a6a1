-- Ways out to the vendors. A URL may carry a proxy's credentials, so it is sealed like a key.
CREATE TABLE egress (
  id         uuid  PRIMARY KEY,
  name       text  NOT NULL UNIQUE,
  sealed     bytea NOT NULL,
  state      text  NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'draining', 'off')),
  created_at timestamptz NOT NULL DEFAULT now()
);
-- One row: what holds for every request (aibridge_common.catalog.Routing).
CREATE TABLE routing (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  document jsonb   NOT NULL
);
