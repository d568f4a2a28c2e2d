"""Cost: technology files, the mapper, and what whole designs cost."""
