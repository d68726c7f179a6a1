"""Stand-in OpenAI, Anthropic and Google vendors: scripted faults and a log of the true usage."""
