"""What an answer says and how it goes on the wire."""
