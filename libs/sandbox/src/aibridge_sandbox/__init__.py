"""AI-Bridge sandbox."""
