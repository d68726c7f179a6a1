"""The stand-in Google: Gemini generateContent in its three forms."""
