"""What a run is: directory, model file, metrics, lineage; champions; the report that compares runs."""
