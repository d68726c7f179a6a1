"""What limited keys have used. See README.md."""
