"""Images and data sets: found, prepared, split, served in batches; fetching/ downloads them."""
