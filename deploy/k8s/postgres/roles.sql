-- One role per service, owner of its own schema and of nothing else: billing's tables do not exist for auth.
-- Run once, as the owner of the database and connected to it, with the three passwords in the environment:
--   psql --set ON_ERROR_STOP=1 --file roles.sql
\getenv auth_password AUTH_DB_PASSWORD
\getenv router_password ROUTER_DB_PASSWORD
\getenv billing_password BILLING_DB_PASSWORD

CREATE ROLE aibridge_auth LOGIN PASSWORD :'auth_password';
CREATE ROLE aibridge_router LOGIN PASSWORD :'router_password';
CREATE ROLE aibridge_billing LOGIN PASSWORD :'billing_password';

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
-- CREATE, because each service's first migration makes its schema; TEMPORARY, because billing settles
-- usage in temporary tables.
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE :"DBNAME"
  TO aibridge_auth, aibridge_router, aibridge_billing;
