-- Models, providers and chains are rows; their documents are the structs of aibridge_common.catalog.
CREATE TABLE provider (
  name     text  PRIMARY KEY,
  document jsonb NOT NULL
);
CREATE TABLE model (
  id       text  PRIMARY KEY,
  provider text  NOT NULL REFERENCES provider,
  document jsonb NOT NULL
);
CREATE TABLE chain (
  model    text   PRIMARY KEY REFERENCES model,
  backups  text[] NOT NULL
);
CREATE TABLE upstream_key (
  id         uuid  PRIMARY KEY,
  provider   text  NOT NULL REFERENCES provider,
  sealed     bytea NOT NULL,                               -- never readable through any API
  fingerprint bytea NOT NULL,                              -- tells whether a key is there already
  hint       text  NOT NULL,
  active     boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (provider, fingerprint)
);
