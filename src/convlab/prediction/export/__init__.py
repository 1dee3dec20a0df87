"""A trained network in a file for other programs: image in, class out, compared with where it came from."""
