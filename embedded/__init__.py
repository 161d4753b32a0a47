"""The platform on one machine: Airflow, its DAGs, the model server and the reports, under one supervisor."""
