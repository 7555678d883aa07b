"""Programs that set up, build and check the book. Run them through the Makefile."""
