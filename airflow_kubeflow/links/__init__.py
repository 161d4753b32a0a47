"""Links from Airflow to KFP."""
