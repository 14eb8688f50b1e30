"""Pure rules: no models, no clock, no randomness of their own."""
