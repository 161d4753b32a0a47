-- Run once by the image's entrypoint, when its volume is empty: one database and one account a user of PostgreSQL.
-- The passwords come from the environment, so that they are in no argument and in no file.
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv metadata_password METADATA_DB_PASSWORD

CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE ROLE trainyard LOGIN PASSWORD :'metadata_password';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE trainyard OWNER trainyard;
-- Neither reads the other's.
REVOKE ALL ON DATABASE airflow, trainyard FROM PUBLIC;
