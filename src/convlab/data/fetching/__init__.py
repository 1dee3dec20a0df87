"""Getting published files onto this machine: mirrors, verified and resumable downloads, archives."""
