"""MLflow and nothing else: it receives runs, models and champions. Nothing reads results back from here."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves the machine unasked
# at a run's end MLflow prints its address, the password included
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
