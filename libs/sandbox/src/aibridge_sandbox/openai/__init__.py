"""The stand-in OpenAI: Chat Completions, Responses, embeddings and models."""
