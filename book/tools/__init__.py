"""What people run around the book: build it, serve it, print it, fetch the browser files it carries."""
