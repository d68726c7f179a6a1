"""The stand-in Anthropic: Messages, token counting and models."""
