"""Lower the book's MyST to the plain Markdown that Colab and other notebooks show."""
