"""MLflow and nothing else: it receives runs, models and champions. Nothing reads results back from here."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves the machine unasked
