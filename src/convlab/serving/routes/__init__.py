"""The routes: images for programs, operator endpoints, a page for people."""
