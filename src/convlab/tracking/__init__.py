"""MLflow and nothing else: it receives runs, models and champions. Nothing reads results back from here."""
