"""A trained network behind HTTP: a page for people, JSON for programs."""
