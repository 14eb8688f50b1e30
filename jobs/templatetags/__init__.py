"""Django finds template tags here."""
