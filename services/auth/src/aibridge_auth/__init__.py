"""AI-Bridge auth."""
