"""What every room stands on: errors, the console, configuration, files and their hashes."""
