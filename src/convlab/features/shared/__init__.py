"""The bottleneck cache in an object store: cache -> index -> manifest, table."""
