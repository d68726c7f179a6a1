-- Who changed what through the admin API. Rows are only ever added; `document` holds no secret.
CREATE TABLE admin_audit (
  id       uuid  PRIMARY KEY,                              -- in the order of time
  at       timestamptz NOT NULL DEFAULT now(),
  caller   text  NOT NULL,
  action   text  NOT NULL,
  subject  text  NOT NULL,
  document jsonb NOT NULL
);
